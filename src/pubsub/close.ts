// Why connections end. The wire's codes for it are not known here.

/**
 * Why a connection ended: the label in the metrics. `client` is a connection that its client closed, `lost` one that ended without a
 * close frame, `slow` a subscriber that did not keep up, `memory` one whose unread bytes were among the most when memory was short,
 * `flood` one that sent too much at once, `expired` one whose authorisation has ended, `publish_refused` one whose message --publish-hook
 * refused, `relay` one whose messages may have been lost at the relay.
 */
export const closeCauses = [
	'client',
	'lost',
	'slow',
	'memory',
	'binary',
	'receive_only',
	'too_long',
	'rate',
	'flood',
	'fault',
	'operator',
	'moved',
	'age',
	'expired',
	'publish_refused',
	'relay',
	'stopping',
] as const;
export type CloseCause = (typeof closeCauses)[number];

/** Why the server drops a connection without a word: a close frame would wait behind what the peer does not read. */
export type DropCause = 'slow' | 'memory';

/** Why the server closes a connection, with the reason that its peer is told: at most 123 bytes (RFC 6455, section 5.5). */
export type Close = { readonly cause: Exclude<CloseCause, 'client' | 'lost' | DropCause>; readonly reason: string };
