// Judges what came of a row's inputs, and says it in words.
import assert from 'node:assert/strict';
import { thisEngine, timeoutSeconds } from '../../support/malformed.js';
import type { Came } from './http-exchange.js';
import { type HttpRow, noteOf, type Outcome, outcomeOf } from './http-rows.js';
import type { StrictAnswer } from './strict-answer.js';
import type { WayName } from './ways.js';

/** Fails unless each way did with each input what the row says. */
export function verdict(row: HttpRow, came: ReadonlyMap<WayName, readonly Came[]>): string {
	for (const [way, each] of came) checkWay(row, way, each);
	const ways = [...came].map(([way, each]) => {
		const outcomes = [...new Set(each.map(({ outcome }) => outcome))];
		return {
			way,
			isKept: !row.unshown?.includes(way) && outcomes.every((outcome) => row.kept.test(outcome)),
			what: inWords(outcomes),
		};
	});
	const said = new Map<string, WayName[]>();
	for (const { way, isKept, what } of ways) {
		const text = `${isKept ? 'as promised' : 'not as promised'}: ${what}`;
		said.set(text, [...(said.get(text) ?? []), way]);
	}
	const [only] = said.keys();
	const texts = [...said].map(([text, names]) => `${names.join(' and ')} ${text}`);
	const text = said.size === 1 && only !== undefined && ways.length > 1 ? only : texts.join('; ');
	const sentences = [`${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`, protection(row, ways), noteOf(row)];
	return sentences.filter((sentence) => sentence !== '').join(' ');
}

/** Names the proxies that keep a promise which the server itself does not keep. If none does, the row needs a note. */
function protection(row: HttpRow, ways: readonly { readonly way: WayName; readonly isKept: boolean }[]): string {
	if (ways.every(({ way, isKept }) => way !== 'direct' || isKept)) return '';
	const keepers = ways.flatMap(({ way, isKept }) => (isKept ? [way] : []));
	if (keepers.length > 0) return `${keepers.join(' and ')} in front ${keepers.length === 1 ? 'keeps' : 'keep'} the promise.`;
	// A proxy that this machine lacks may keep it.
	const isTried = ways.length === Object.keys(row.came).length;
	assert.ok(!isTried || noteOf(row) !== '', `no way keeps the promise, and no note tells why: ${row.thrown}`);
	return '';
}

function checkWay(row: HttpRow, way: WayName, each: readonly Came[]): void {
	const outcomes = each.map(({ outcome }) => outcome);
	// Whichever it is of two that depend on how the bytes arrive.
	const expected = outcomes.map((outcome, nth) => {
		const either = outcomeOf(row, way, nth) ?? '';
		return either.split('|').includes(outcome) ? outcome : either;
	});
	const flaw = each.find(({ flaw }, nth) => flaw !== undefined && outcomes[nth] !== expected[nth])?.flaw;
	assert.deepEqual(outcomes, expected, flaw === undefined ? undefined : `${way}: ${flaw}`);
	for (const [nth, one] of each.entries()) {
		const what = `input ${nth + 1} of ${each.length}, ${way}`;
		check(row, one, what);
		if (row.unshown?.includes(way))
			assert.throws(() => checkShown(row, one, what), assert.AssertionError, `${what} keeps the promise`);
		else checkShown(row, one, what);
	}
}

function check(row: HttpRow, { outcome, published, subscribers, seconds }: Came, what: string): void {
	assert.deepEqual(published, row.publishes?.slice(0, published.length) ?? [], `${what}: what was published`);
	if (outcome.includes('open')) assert.equal(subscribers, '1', `${what}: subscribers of the channel`);
	if (outcome === 'timed out') {
		assert.ok(Math.abs(seconds - timeoutSeconds[thisEngine]) < 8, `${what}: timed out after ${seconds} s`);
	}
}

/** Fails unless an answer that should keep the promise shows what the row says. */
function checkShown(row: HttpRow, { outcome, answers }: Came, what: string): void {
	const last = answers.at(-1);
	if (row.shows === undefined || last === undefined || !row.kept.test(outcome)) return;
	// A proxy may refuse what the server would serve.
	if (last.status >= 400 && row.kept.test('200 open')) return;
	for (const [name, value] of Object.entries(row.shows.fields ?? {})) {
		matches(last.fields.get(name) ?? '', value, `${what}: ${name}`);
	}
	if (row.shows.isLikeFirst) assert.deepEqual(lasting(last), lasting(answers[0]), `${what}: the fields of both answers`);
	if (row.shows.body !== undefined) matches(last.body, row.shows.body, `${what}: the body`);
}

/** The fields of an answer that do not depend on its time. */
function lasting(answer: StrictAnswer | undefined): [string, string][] {
	return [...(answer?.fields ?? [])].filter(([name]) => name !== 'date').sort();
}

function matches(came: string, expected: string | RegExp, what: string): void {
	if (typeof expected === 'string') assert.equal(came, expected, what);
	else assert.match(came, expected, what);
}

const ends = new Map([
	['open', ''],
	['closed', ', and closed'],
	['malformed', ', and then bytes that are no answer'],
]);

/** Outcomes that end in the same way are told together: 400 or 501, and closed. */
function inWords(outcomes: readonly Outcome[]): string {
	const answers = new Map<string, string[]>();
	const texts: string[] = [];
	for (const outcome of outcomes) {
		const [before = '', published] = outcome.split(', ');
		const [, statuses = '', end = ''] = /^((?:(?:\d{3}|bare) ?)*)(.*)$/.exec(before) ?? [];
		const isPublished = published === undefined ? '' : '; the message is published';
		const rest = `${ends.get(end) ?? ''}${isPublished}`;
		if (end === 'left') texts.push(published === undefined ? 'nothing is published' : 'the message is published');
		else if (statuses === '') texts.push(`${unanswered(end)}${isPublished}`);
		else answers.set(rest, [...(answers.get(rest) ?? []), statusesInWords(statuses.trim().split(' '))]);
	}
	for (const [rest, each] of answers) texts.push(`${each.join(' or ')}${rest}`);
	return texts.join('; or ');
}

function unanswered(end: string): string {
	return end === 'closed' ? 'closed without an answer' : `closed without an answer after some ${timeoutSeconds[thisEngine]} s`;
}

function statusesInWords(statuses: readonly string[]): string {
	const isSame = statuses.length > 2 && new Set(statuses).size === 1;
	const text = isSame ? `${statuses[0]} to each of ${statuses.length}` : statuses.join(', then ');
	return text.replace('bare', 'a page without a head');
}
