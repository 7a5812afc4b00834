// Runs the rows of a table of handshakes: requests in bytes, and their answers, by each way.
import assert from 'node:assert/strict';
import { torture } from '../support/torture.js';
import { answersOf, happened, parseHead, type Said, waysWith } from './conversation.js';
import type { Way, WayName } from './ways.js';
import type { Piece } from './wire.js';

export type Answer = {
	/** 0 if the connection ends without an answer. */
	readonly status: number;
	/** Some fields of the answer, their names in lower case; undefined if the answer must not have it. */
	readonly fields?: Readonly<Record<string, string | undefined>>;
	/** The field that the line of a refusal names. */
	readonly names?: string;
};

export type HandshakeCase = Answer & { readonly sends: readonly Piece[] };

export type HandshakeRow = {
	/** Of RFC 6455. */
	readonly section: string;
	readonly thrown: string;
	readonly promised: string;
	readonly cases: readonly HandshakeCase[];
	/** Of the server. */
	readonly flags?: readonly string[];
	/** The answers that come by a way instead, and a sentence or two for docs/torture.md. */
	readonly through?: { readonly [way in WayName]?: { answer(promised: HandshakeCase): Answer; readonly says: string } };
};

export function runHandshakes(rows: readonly HandshakeRow[]): void {
	for (const row of rows) {
		const { section, thrown, promised, cases, flags } = row;
		torture(
			{ section: `RFC 6455 ${section}`, thrown, promised },
			async () => {
				const all = await waysWith(flags);
				const said = await Promise.all(all.ways.map((way) => runByWay(row, way)));
				return happened(all, said, cases.length);
			},
			{ timeout: 60_000 },
		);
	}
}

/** Gives the deviation that holds for this way, if there is one. */
async function runByWay({ cases, through }: HandshakeRow, way: Way): Promise<Said | undefined> {
	const deviation = through?.[way.name];
	for (const [i, each] of cases.entries()) {
		const what = `${way.name}, case ${i + 1} of ${cases.length}: ${JSON.stringify(each.sends.join(''))}`;
		await shake(way, each.sends, deviation?.answer(each) ?? each, what);
	}
	return deviation && { says: deviation.says, count: cases.filter((each) => deviation.answer(each) !== each).length };
}

/** Sends one handshake over a connection of its own. */
async function shake(way: Way, sends: readonly Piece[], { status, fields = {}, names }: Answer, what: string): Promise<void> {
	const wire = await way.open();
	await wire.send(...sends);
	const head = (await wire.take(parseHead)) ?? '';
	const came = Object.keys(fields).map((name) => [name, new RegExp(`^${name}: *(.*)\r$`, 'im').exec(head)?.[1]]);
	assert.deepEqual(
		{ status: Number(head.split(' ')[1] ?? 0), fields: Object.fromEntries(came) },
		{ status, fields },
		`${what}\n${head}`,
	);
	// Then the connection is a websocket, whose pings are answered.
	if (status === 101) assert.deepEqual(await answersOf(wire, { sends: [] }, 0), [], what);
	if (names !== undefined) {
		const line = await wire.take((bytes) =>
			bytes.includes('\n') ? { found: bytes.toString(), length: bytes.length } : undefined,
		);
		assert.ok(line?.includes(names), `${what}: ${line}`);
	}
	await wire.destroy();
}
