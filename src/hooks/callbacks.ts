// What the server tells the application by itself: builds the webhooks and the close callback that the options ask for.
import { hostname } from 'node:os';
import type { CallbackHook, Events } from '../observe/events.js';
import { CloseCallback, closeCallbacksAtOnceMax } from './close-callback.js';
import type { OnOutcome } from './delivery-queue.js';
import { connectService, type Service } from './service.js';
import { readSecret } from './webhook-delivery.js';
import type { WebhookEvent } from './webhook-events.js';
import { Webhooks } from './webhooks.js';

export type CallbackParts = {
	readonly webhook: readonly URL[];
	readonly webhookEvents: readonly WebhookEvent[];
	readonly webhookSecretFile: string | undefined;
	readonly closeCallback: URL | undefined;
	readonly sessionHeader: string;
	readonly endpoint: string | undefined;
	/** Where this server listens. Not called before it does. */
	readonly address: () => { readonly port: number } | { readonly path: string };
	readonly calledBack: Events['calledBack'];
};

export type Callbacks = {
	/** None without a callback in the options. */
	readonly listeners: readonly Partial<Events>[];
	/** How many connections to services there may be. */
	readonly connectionsMax: number;
	/** How many events and close callbacks are not accepted yet. */
	queued(): number;
	/** Sends what is queued, and from now on everything at once. What is not accepted after `patienceMs` is dropped. */
	finish(patienceMs: number): Promise<void>;
	/** Ends all connections to the services. */
	close(): void;
};

/** Without a callback in the options, nothing is loaded and nothing is paid. Throws a StartError if the secret's file cannot be used. */
export async function startCallbacks(parts: CallbackParts): Promise<Callbacks> {
	const { webhook, webhookEvents, webhookSecretFile, closeCallback, sessionHeader, calledBack } = parts;
	const secret = webhookSecretFile === undefined ? undefined : readSecret(webhookSecretFile);
	const services: Service[] = [];
	const callbacks: (Webhooks | CloseCallback)[] = [];

	async function connect(url: URL, connections: number, hook: CallbackHook) {
		const service = await connectService(url, connections);
		services.push(service);
		// The host alone: the rest of the URL may be a secret.
		const onOutcome: OnOutcome = (outcome, count, failure) =>
			calledBack(hook, outcome, count, failure && `${url.host}: ${failure}`);
		return { service, onOutcome };
	}

	if (webhook.length > 0) {
		const receivers = await Promise.all(webhook.map((url) => connect(url, 1, 'webhook')));
		callbacks.push(new Webhooks({ receivers, wanted: webhookEvents, node: () => nodeName(parts), secret }));
	}
	if (closeCallback !== undefined) {
		const receiver = await connect(closeCallback, closeCallbacksAtOnceMax, 'close_callback');
		callbacks.push(new CloseCallback({ ...receiver, sessionHeader }));
	}
	return {
		listeners: callbacks,
		connectionsMax: webhook.length + (closeCallback === undefined ? 0 : closeCallbacksAtOnceMax),
		queued: () => callbacks.reduce((sum, { queued }) => sum + queued, 0),
		async finish(patienceMs) {
			await Promise.all(callbacks.map((callback) => callback.finish(patienceMs)));
		},
		close() {
			for (const service of services) service.close();
		},
	};
}

/** What this server calls itself. */
function nodeName({ endpoint, address }: Pick<CallbackParts, 'endpoint' | 'address'>): string {
	if (endpoint !== undefined) return endpoint;
	const listening = address();
	return 'path' in listening ? listening.path : `${hostname()}:${listening.port}`;
}
