// The type of a row about HTTP. The tables are data; http.torture.ts sends them and judges what comes.
import { thisEngine } from '../../support/malformed.js';
import type { WayName } from './ways.js';

/** The pieces that a client sends, for a channel of its own. `<etag>` stands for the entity tag of the page. */
export type Input = (room: string) => string | readonly string[];

/**
 * The statuses of all answers, if any, and then the end of the conversation:
 * - `200 open`: the connection stays open, and another request is answered on it.
 * - `400 closed`: the server closes the connection after the answer. `closed` alone: it closes it without an answer.
 * - `timed out`: the server closes the connection without an answer, after its time-out.
 * - `400 malformed`: bytes come that are not an answer.
 * - `left`: the client leaves without waiting for an answer.
 * - `bare` in the place of a status: the answer is a page without a head.
 * - `200 closed, 1 published`: the number of messages differs from the number of answers with 200.
 * - `400 open|400 closed`: either of the two, as the bytes arrive.
 */
export type Outcome = string;
/** An outcome for each engine. The proxies differ too: CI has those of Debian 12 with the older engine, and of Debian 13 with the newer. */
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
	/** The outcomes by each way. A way that is missing is not tried. */
	readonly came: Readonly<Partial<Record<WayName, Expected>>>;
	/** The texts that are published, one for each answer with 200. Any other text fails the row, such as one that a body hides. */
	readonly publishes?: readonly string[];
	/** The methods of the requests, where they are not all that of the first one. The answer to a HEAD has no body. */
	readonly methods?: readonly string[];
	/** The channels that a subscriber listens on, one for each input, where they are not the rooms. */
	readonly channels?: readonly ((room: string) => string)[];
	/** The last answer, if it keeps the promise. */
	readonly shows?: {
		/** An empty value stands for a field that is absent. */
		readonly fields?: Readonly<Record<string, string | RegExp>>;
		/** Whether its fields are those of the first answer. The dates are not compared. */
		readonly isLikeFirst?: boolean;
		readonly body?: string | RegExp;
	};
	/** The ways whose answer has the right status, and not all that `shows` asks for. */
	readonly unshown?: readonly WayName[];
	/**
	 * The action of the client after its last piece. By default it waits for the answers, and sends another request to see whether the
	 * connection is open. A client that `leaves` disconnects when it has the answers. A client that `ends its side` sends a FIN, and
	 * waits for the answers.
	 */
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

export const method =
	(name: string, fields = ''): Input =>
	(room) =>
		get(room, fields).replace('GET', name);
/** A GET for each value of this field. */
export const gets = (field: string, ...values: readonly string[]): Input[] =>
	values.map((value) => method('GET', `${field}: ${value}\r\n`));
/** The answer is the page. */
export const page = {
	shows: { fields: { 'content-type': 'text/html; charset=utf-8' }, body: /^<!doctype html>[\s\S]*<\/html>\s*$/ },
};
