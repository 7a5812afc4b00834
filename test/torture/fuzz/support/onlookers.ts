// Well-behaved subscribers beside clients that misbehave. Their messages are taken one by one.
import type { TestContext } from 'node:test';
import { openStream, openStreamOverTls } from '../../../support/event-stream.js';
import { openGroups } from '../../../support/groups.js';
import { type Subscriber, subscribe } from '../../../support/subscriber.js';

/** A message as an onlooker has it: text with LF for each line end, as event streams have it, or the base64 of a binary one. */
export type Seen = string;

export type Onlooker = { readonly kind: string; readonly path: string; next(): Promise<Seen> };

/** The server that onlookers and publishers connect to. */
export type Address = { readonly port: number; readonly isTls: boolean };

const insecure = { rejectUnauthorized: false };
/** The same text as event streams bring it. */
export function asSeen(text: string): Seen {
	return text.replace(/\r\n?/g, '\n');
}
const seen = (bytes: Buffer, isBinary: boolean) => (isBinary ? `binary ${bytes.toString('base64')}` : asSeen(bytes.toString()));

function urlOf({ port, isTls }: Address, path: string): string {
	return `${isTls ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`;
}

export function openPublisher(t: TestContext, address: Address, path: string): Promise<Subscriber> {
	return subscribe(t, urlOf(address, path), insecure);
}

/** Two subscribers of a path, a websocket and an event stream, and one of several channels, if the server has them. */
export async function openOnlookers(t: TestContext, address: Address, path: string, hasGroups: boolean): Promise<Onlooker[]> {
	const written = encodeURI(path);
	const websocket = await subscribe(t, urlOf(address, written), insecure);
	const stream = address.isTls
		? await openStreamOverTls(t, { port: address.port, ...insecure }, written)
		: await openStream(t, address, written);
	const onlookers: Onlooker[] = [
		{
			kind: 'websocket',
			path,
			async next() {
				const { data, isBinary } = await websocket.next();
				return seen(data, isBinary);
			},
		},
		{
			kind: 'event stream',
			path,
			async next() {
				const { type, data } = await stream.next();
				return type === 'binary' ? `binary ${data}` : data;
			},
		},
	];
	if (!hasGroups) return onlookers;
	const client = await openGroups(t, { ws: (target) => urlOf(address, target) }, written, insecure);
	return [
		...onlookers,
		{
			kind: 'websocket of several channels',
			path,
			async next() {
				const { head, body, isBinary } = await client.next();
				if (head.get('channel') === undefined) throw new Error(`an onlooker got ${JSON.stringify([...head])}`);
				return seen(Buffer.from(body, isBinary ? 'latin1' : 'utf8'), isBinary);
			},
		},
	];
}
