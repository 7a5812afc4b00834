// What a row about HTTP says. The tables are data; http.torture.ts sends them and judges what comes.
import { thisEngine } from '../../support/malformed.js';
import type { WayName } from './ways.js';

/** What one client sends, piece by piece, for a channel of its own. `<etag>` stands for the entity tag of the page. */
export type Input = (room: string) => string | readonly string[];

/**
 * The statuses of the answers, then `open` if another request is answered on the connection, or `closed`. `bare` is a page without a head.
 * `closed` and `timed out` come without an answer; `left` is a client that leaves. `malformed`
 * are bytes that are no answer. `, 1 published` follows where the number of messages is
 * not that of the answers with 200. A `|` stands between two outcomes that depend on how the bytes arrive.
 */
export type Outcome = string;
/** What may differ: the engine, and with it the Debian release of the proxies, as CI has them (12 with the older engine, 13 with the newer). */
type ByEngine = { readonly newer: OneOrEach<Outcome>; readonly older: OneOrEach<Outcome> };
/** One for all inputs, or one for each. */
type OneOrEach<T> = T | readonly T[];
export type Expected = OneOrEach<Outcome | ByEngine>;

export type HttpRow = {
	readonly section: string;
	readonly thrown: string;
	readonly promised: string;
	/** Each is sent on a connection of its own. */
	readonly inputs: readonly Input[];
	/** The outcomes that keep the promise. */
	readonly kept: RegExp;
	/** What each way does. A way that is missing is not tried. */
	readonly came: Readonly<Partial<Record<WayName, Expected>>>;
	/** What the answers with 200 publish, one text for each. Nothing else may be, such as what a body hides. */
	readonly publishes?: readonly string[];
	/** The methods of the requests, where they are not all that of the first one. The answer to a HEAD has no body. */
	readonly methods?: readonly string[];
	/** What the last answer has that keeps the promise: fields, of which an empty one is absent, and the body. */
	readonly shows?: { readonly fields?: Readonly<Record<string, string | RegExp>>; readonly body?: string | RegExp };
	/** What the client does after its last piece: nothing and looks whether the connection is open, leaves when it has its answers, or ends its side. */
	readonly client?: 'leaves' | 'ends its side';
	/** Whether the client waits for a 100 before its second piece. */
	readonly waitsFor100?: boolean;
	/** One or two sentences, with either engine or for one of them: why the promise is not kept, and the protection that the user has. */
	readonly note?: string | ByEngine;
};

/** The outcome of an input on the engine that serves here; undefined if the way is not tried. */
export function outcomeOf({ came }: HttpRow, way: WayName, input: number): Outcome | undefined {
	const ofWay = came[way];
	if (ofWay === undefined) return undefined;
	const expected = nth(ofWay, input);
	return typeof expected === 'string' ? expected : nth(expected[thisEngine], input);
}

/** The note of the row on the engine that serves here. An empty text stands for none. */
export function noteOf({ note = '' }: HttpRow): string {
	return typeof note === 'string' ? note : [note[thisEngine]].flat().join(' ');
}

function nth<T extends string | ByEngine>(oneOrEach: OneOrEach<T>, input: number): T {
	if (!Array.isArray(oneOrEach)) return oneOrEach as T;
	const one = oneOrEach[input];
	if (one === undefined) throw new Error(`no outcome for input ${input}`);
	return one;
}

type More = Omit<HttpRow, 'section' | 'thrown' | 'promised' | 'inputs' | 'kept' | 'came'>;

/** A row whose ways all do the same has one outcome. */
export function row(
	section: string,
	thrown: string,
	promised: string,
	inputs: Input | readonly Input[],
	kept: RegExp,
	came: Outcome | HttpRow['came'],
	more: More = {},
): HttpRow {
	const byWay = typeof came === 'string' ? { direct: came, nginx: came, HAProxy: came } : came;
	return {
		section: `RFC ${section}`,
		thrown,
		promised,
		inputs: typeof inputs === 'function' ? [inputs] : inputs,
		kept,
		came: byWay,
		...more,
	};
}

export function ways(direct: Expected, nginx: Expected, HAProxy: Expected): Required<HttpRow['came']> {
	return { direct, nginx, HAProxy };
}

export function engines(newer: OneOrEach<Outcome>, older: OneOrEach<Outcome>): ByEngine {
	return { newer, older };
}

export const served = /^200 open$/;
/** As malformed; it matters not whether the connection goes on. */
export const badRequest = /^400 (open|closed)$/;
/** Where the RFC leaves the status to the server. A 502 of a proxy tells that the server has not answered. */
export const refused = /^(4\d\d|50[15]) (open|closed)$/;
export const servedOrRefused = /^(200 open|(4\d\d|50[15]) (open|closed))$/;
/** Where the RFC asks for a status of 4xx. */
export const servedOr4xx = /^(200 open|4\d\d (open|closed))$/;

/** The note of the rows about methods that pathcast does not serve. */
export const unknownMethods = engines(
	'',
	'The older engine closes the connection, and a proxy answers 502 for it. Nothing is published.',
);

export const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;
/** A request whose fields say how long its body is. */
export const post = (target: string, fields: string, body: string) =>
	`POST ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`;
export const publish = (target: string, body: string, fields = '') =>
	post(target, `Content-Length: ${body.length}\r\n${fields}`, body);
export const chunked = (target: string, chunks: string, fields = '') =>
	post(target, `Transfer-Encoding: chunked\r\n${fields}`, chunks);
