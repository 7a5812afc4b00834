// Runs the rows of a table of websocket conversations: bytes in, and what must come back, by each way.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { handshakeHeaders } from '../../support/http.js';
import { type Received, type Subscriber, subscribe } from '../../support/subscriber.js';
import { torture } from '../support/torture.js';
import { binary, end, frame, type Item, parseFrame, pong, text } from './frames.js';
import { startWays, thisFile, type Way, type Ways } from './ways.js';
import type { Piece, Wire } from './wire.js';

/** The frames that a subscribed client sends, and those that it gets. If they do not end the connection, the next case goes on with it. */
export type Case = {
	/** On the direct way, the server reads each piece by itself. */
	readonly sends: readonly Piece[];
	/** Whether the client then ends its side of TCP. */
	readonly finishes?: boolean;
	/** Whether pieces follow the one that ends the connection. A proxy passes them to a server that has closed, and may lose its answer. */
	readonly goesOn?: boolean;
	readonly comes: readonly Item[];
	/** The messages that another subscriber of the channel gets. By default they are those that come back. */
	readonly published?: readonly Item[];
	/** The frames that come from a server that accepts the input which it should refuse, in a row with a deviation that says so. */
	readonly lenient?: readonly Item[];
};

/** A deviation of both engines, by each way. */
export type Deviation = {
	/** The frames that must come in the place of the promised ones. */
	readonly instead: (promised: Case) => Pick<Case, 'comes' | 'published'>;
	/** A sentence or two for docs/torture.md: what happens, and what protects the user. */
	readonly says: string;
};

export type Row = {
	/** Of RFC 6455. */
	readonly section: string;
	readonly thrown: string;
	readonly promised: string;
	readonly cases: readonly Case[];
	/** Whether each case has a connection of its own, which is left when its answers have come. */
	readonly apart?: boolean;
	/** Whether the cases are the steps of one conversation, and no variants of each other. */
	readonly isOneConversation?: boolean;
	/** Of the server. */
	readonly flags?: readonly string[];
	readonly deviation?: Deviation;
};

// It ends a wait for what never comes.
const deadlineMs = 10_000;
let channels = 0;
let pings = 0;
const servers = new Map<string, Promise<Ways>>();

/** The ways to the server with these flags, which all rows share. */
export function waysWith(flags: readonly string[] = []): Promise<Ways> {
	const key = flags.join(' ');
	const ways = servers.get(key) ?? startWays(thisFile, ...flags);
	servers.set(key, ways);
	return ways;
}

export function runRows(rows: readonly Row[]): void {
	for (const row of rows) {
		const { section, thrown, promised } = row;
		torture({ section: `RFC 6455 ${section}`, thrown, promised }, () => runRow(row), { timeout: 60_000 });
	}
}

async function runRow(row: Row): Promise<string> {
	const { port, ways, untried } = await waysWith(row.flags);
	const said = await Promise.all(ways.map((way) => runByWay(row, way, port)));
	return happened({ ways, untried }, said, row.isOneConversation ? 1 : row.cases.length);
}

/** A deviation in words, and the number of the variants that have it. */
export type Said = { readonly says: string; readonly count: number };

/** The outcome, as docs/torture.md tells it. By each way, its deviation, or undefined if all came as promised. */
export function happened(
	{ ways, untried }: Pick<Ways, 'ways' | 'untried'>,
	said: readonly (Said | undefined)[],
	count: number,
): string {
	const inAll = (variants: number) => (variants === 1 ? '' : ` in all ${variants} variants`);
	const texts = said.map((each) => {
		if (each === undefined) return `as promised${inAll(count)}.`;
		return each.count === 1 ? each.says : `${each.says} Seen${inAll(each.count)}.`;
	});
	const groups = [...new Set(texts)].map((text) => {
		const names = ways.filter((_, i) => texts[i] === text).map(({ name }) => (name === 'direct' ? name : `through ${name}`));
		return names.length === ways.length ? text : `${names.join(' and ')}: ${text}`;
	});
	return `${groups.map((text) => text.charAt(0).toUpperCase() + text.slice(1)).join(' ')}${untried}`;
}

/** Gives the deviation, if there is one. */
async function runByWay(row: Row, way: Way, port: number): Promise<Said | undefined> {
	const path = `/${row.section}/${channels++}`;
	const witness = await subscribe(thisFile, `ws://127.0.0.1:${port}${path}`);
	let wire: Wire | undefined;
	let deviating = 0;
	for (const [i, promised] of row.cases.entries()) {
		const expected = { ...promised, ...row.deviation?.instead(promised) };
		if (!isDeepStrictEqual(expected, promised)) deviating++;
		wire ??= await openWebSocket(way, path);
		const came = await answersOf(wire, promised, expected.comes.length);
		const what = `${way.name}, case ${i + 1} of ${row.cases.length}`;
		const isLost = promised.goesOn && way.name !== 'direct' && isDeepStrictEqual(came, [end]);
		if (!isLost) assert.deepEqual(came, expected.comes, what);
		const published = expected.published ?? expected.comes.filter((item) => /^(text|binary) /.test(item));
		assert.deepEqual(await heard(witness, published.length), published, `${what}, published`);
		if (row.apart || hasEnded(came)) {
			await wire.destroy();
			wire = undefined;
		}
	}
	await wire?.destroy();
	// Nothing else was published, and the witness is untouched.
	witness.send('the witness');
	assert.equal(await witness.nextText(), 'the witness', way.name);
	await witness.close();
	if (row.deviation === undefined) return undefined;
	assert.ok(deviating > 0, 'the deviation changes no case');
	return { says: row.deviation.says, count: row.isOneConversation ? 1 : deviating };
}

async function heard(witness: Subscriber, count: number): Promise<Item[]> {
	const items: Item[] = [];
	while (items.length < count) items.push(itemOf(await witness.next()));
	return items;
}

function itemOf({ data, isBinary }: Received): Item {
	return isBinary ? binary(data) : text(data);
}

/** A complete handshake. */
export function handshakeFor(path: string, fields: Readonly<Record<string, string>> = {}): string {
	const lines = Object.entries({ Host: 'localhost', ...handshakeHeaders, ...fields }).map(
		([name, value]) => `${name}: ${value}\r\n`,
	);
	return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A websocket that has subscribed. */
export async function openWebSocket(way: Way, path: string): Promise<Wire> {
	const wire = await way.open();
	await wire.send(handshakeFor(path));
	const head = await wire.take(parseHead);
	assert.match(head ?? 'nothing', /^HTTP\/1\.1 101 /, way.name);
	return wire;
}

/** The head of an answer. */
export function parseHead(bytes: Buffer): { found: string; length: number } | undefined {
	const length = bytes.indexOf('\r\n\r\n') + 4;
	return length < 4 ? undefined : { found: bytes.toString('latin1', 0, length), length };
}

/** The items that come back when these pieces are sent: so many, and then the end, or all that come before the pong of a ping. */
export async function answersOf(
	wire: Wire,
	{ sends, finishes }: Pick<Case, 'sends' | 'finishes'>,
	count: number,
): Promise<Item[]> {
	const came: Item[] = [];
	const deadline = setTimeout(() => {
		came.push(`nothing more in ${deadlineMs / 1_000} s`);
		wire.socket.destroy();
	}, deadlineMs);
	await wire.send(...sends);
	if (finishes) wire.finish();
	while (came.length < count && !hasEnded(came)) came.push(await nextItem(wire));
	if (!hasEnded(came)) {
		const payload = `ping ${pings++} of the table`;
		await wire.send(frame('ping', payload));
		for (let item = await nextItem(wire); item !== pong(payload); item = await nextItem(wire)) {
			came.push(item);
			if (hasEnded(came)) break;
		}
	}
	clearTimeout(deadline);
	return came;
}

function hasEnded(items: readonly Item[]): boolean {
	return items.at(-1)?.startsWith(end) ?? false;
}

async function nextItem(wire: Wire): Promise<Item> {
	const item = await wire.take(parseFrame);
	if (item !== undefined) return item;
	return wire.untaken.length > 0 ? `${end} after half a frame` : end;
}
