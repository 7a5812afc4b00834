// Rows of the malformed input of test/support/malformed.ts, which says what each engine does with it.
import { ambiguousFraming, type Outcome as Known, otherInputs } from '../../support/malformed.js';
import { type Expected, engines, type HttpRow, type Input, type Outcome, row } from './http-rows.js';

type Malformed = { readonly newer: Known; readonly older: Known; readonly publishes?: string | undefined; readonly make: Input };

const known = new Map<string, Malformed>([
	...otherInputs.map(({ input, newer, older, pieces, publishes }) => {
		const make = (room: string) => pieces.map((piece) => piece.replace('/malformed', room));
		return [input, { newer, older, publishes, make }] as const;
	}),
	...ambiguousFraming.map(({ input, newer, older, host, headers, body }) => {
		const make = (room: string) => `POST ${room} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n${body}`;
		return [input, { newer, older, make }] as const;
	}),
]);
const used = new Set<string>();

/** A row of inputs that the table of docs/limits.md names so. */
export function malformed(
	section: string,
	promised: string,
	names: readonly string[],
	kept: RegExp,
	nginx: Expected | undefined,
	HAProxy: Expected,
	more: Pick<HttpRow, 'note' | 'client' | 'publishes'> = {},
): HttpRow {
	const inputs = names.map((name) => {
		const found = known.get(name);
		if (found === undefined) throw new Error(`test/support/malformed.ts has no "${name}"`);
		used.add(name);
		return found;
	});
	const directly = (outcome: Known, make: Input) => {
		const is100First = String(make('/room')).includes('Expect: 100-continue');
		return `${is100First ? '100 ' : ''}${inShort(outcome, more.client)}`;
	};
	const direct = inputs.map(({ newer, older, make }) => engines(directly(newer, make), directly(older, make)));
	const [publishes] = inputs.flatMap(({ publishes = [] }) => publishes);
	const makes = inputs.map(({ make }) => make);
	const published = publishes === undefined ? {} : { publishes: [publishes] };
	const came = { direct, HAProxy, ...(nginx === undefined ? {} : { nginx }) };
	return row(section, names.join('; '), promised, makes, kept, came, { ...published, ...more });
}

/** An answer of the engine, and a refusal of ambiguous framing, end the connection. */
function inShort(outcome: Known, client: HttpRow['client']): Outcome {
	if (outcome === 'closed' || outcome === 'timed out') return outcome;
	// Before the answer to the message.
	if (outcome === 'served, but answered with 505 of the engine') return '505 closed, 1 published';
	const status = outcome.startsWith('served') ? '200' : outcome.slice(0, 3);
	if (client === 'leaves') return status;
	return /of the engine|then closed|^400$/.test(outcome) ? `${status} closed` : `${status} open`;
}

/** The inputs of that table that no row has, those of websockets aside. */
export function unusedInputs(): string[] {
	return [...known.keys()].filter((name) => !name.startsWith('websocket: ') && !used.has(name));
}
