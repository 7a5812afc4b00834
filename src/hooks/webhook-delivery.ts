// Makes the request of a webhook: a JSON array of events, signed.
import { createHmac } from 'node:crypto';
import { readGivenFile } from '../given-file.js';
import type { Party } from '../observe/events.js';
import type { CloseCause } from '../pubsub/close.js';
import { StartError } from '../start-error.js';
import type { Delivery } from './delivery.js';
import type { WebhookEvent } from './webhook-events.js';

/** An event that waits. It takes little to make, because it is made while connections open and close. */
export type Happening = {
	readonly event: WebhookEvent;
	/** By Date.now(). */
	readonly timeMs: number;
	readonly path: string;
	/** The connection, of which the event tells; undefined for events of channels. */
	readonly party?: Party | undefined;
	readonly cause?: CloseCause;
	readonly code?: number | undefined;
	/** In seconds. */
	readonly duration?: number | undefined;
	/** How many bytes the subscriber had not read. */
	readonly backlog?: number;
};

/** The request with these events of this node. */
export function webhookDelivery(happenings: readonly Happening[], node: string, secret: Buffer | undefined): Delivery {
	// JSON leaves out what is undefined.
	const body = Buffer.from(JSON.stringify(happenings.map((happening) => toldOf(happening, node))));
	const headers = ['Content-Type', 'application/json'];
	if (secret !== undefined) headers.push('X-Signature', `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
	return { headers, body };
}

function toldOf({ event, timeMs, path, party, ...more }: Happening, node: string): object {
	const time = new Date(timeMs).toISOString();
	return { event, time, node, path, session: party?.session, ip: party?.ip, conn: party?.conn, ...more };
}

/** The key in a file, without the newline at its end, which most editors add. Throws a StartError if there is none. */
export function readSecret(file: string): Buffer {
	const bytes = readGivenFile('--webhook-secret-file', file);
	const secret = Buffer.from(bytes.toString('latin1').replace(/\r?\n$/, ''), 'latin1');
	if (secret.length === 0) throw new StartError(`--webhook-secret-file: ${file} is empty; write a key into it.`);
	return secret;
}
