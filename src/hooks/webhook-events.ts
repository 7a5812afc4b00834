// The events that webhooks may get.

export const webhookEvents = ['connect', 'disconnect', 'channel_opened', 'channel_closed', 'slow'] as const;
export type WebhookEvent = (typeof webhookEvents)[number];
