// Stops a server in phases, so that no subscriber loses a message and clients do not return all at once.
import { setTimeout } from 'node:timers/promises';
import { type Closing, closesPerTick } from './connections/closing.js';
import type { Connections } from './connections/registry.js';
import { spread } from './connections/spread.js';
import type { InFlight } from './http/in-flight.js';
import type { Hub } from './pubsub/hub.js';

// For requests whose body is still coming when the server stops, or which wait for a service, and for messages that are being judged.
const requestPatienceMs = 5_000;
// Time for peers to close their side, or to read what was sent before. It ends idle keep-alive connections too.
const dropAfterMs = 1_000;
const dropUnreadAfterMs = 5_000;
// Messages before the last close frames go out at their pace, for so long at the most.
const pacedWaitMs = 5;
const pacedWaitsMax = 200;
// The callbacks may take what is left of --drain, and always at least this long.
const callbacksPatienceMsMin = 1_000;

export type StopParts = {
	readonly hub: Hub;
	readonly connections: Connections;
	readonly closing: Closing;
	readonly inFlight: InFlight;
	/** In seconds: --drain-delay and --drain. */
	readonly drainDelay: number;
	readonly drain: number;
	readonly stopListening: () => void;
	readonly closeOperator: () => void;
	/** Waits until the relay has answered, for so long at the most. */
	readonly finishPublishing: (patienceMs: number) => Promise<void>;
	/** Sends the callbacks that are queued, for so long at the most. */
	readonly finishCallbacks: (patienceMs: number) => Promise<void>;
	/** Drops what is still open. */
	readonly dropPeers: () => void;
	/** Ends the connections to services, and lets the process end. */
	readonly closeServices: () => void;
};

/**
 * Resolves when every connection has been closed, or its last messages cannot wait any longer, and when the callbacks about the closed
 * connections have gone out. The server drops later what peers leave open.
 */
export async function stopInPhases(parts: StopParts): Promise<void> {
	const { hub, connections, closing, inFlight, drainDelay, drain } = parts;
	// In this turn, if there is no delay: a client that is told that the server stops must not get in any more.
	if (drainDelay > 0) await setTimeout(drainDelay * 1_000);
	parts.stopListening();
	await inFlight.idle(requestPatienceMs);
	const closingFromMs = performance.now();
	// So few do not hurt when they return all at once.
	const overSeconds = connections.count < closesPerTick ? 0 : drain;
	await spread(closing.all('stopping'), connections.count, overSeconds * 1_000);
	// At their pace, so that no reader is dropped at the last moment.
	for (let waits = 0; connections.count > 0 && waits < pacedWaitsMax; waits++) await setTimeout(pacedWaitMs);
	// What the last websockets have published may still wait for the relay.
	await parts.finishPublishing(requestPatienceMs);
	closing.waitForRelayNoLonger();
	hub.flush();
	parts.closeOperator();
	// The drop does not wait for the callbacks, however long a service takes to accept them.
	const dropped = setTimeout(closing.hasUnread ? dropUnreadAfterMs : dropAfterMs, undefined, { ref: false }).then(
		parts.dropPeers,
	);
	const drainLeftMs = drain * 1_000 - (performance.now() - closingFromMs);
	await parts.finishCallbacks(Math.max(drainLeftMs, callbacksPatienceMsMin));
	void dropped.then(parts.closeServices);
}
