// Reads the options from the arguments and the environment.
import { Command, CommanderError, Option } from 'commander';
import { StartError } from '../start-error.js';
import type { OptionRow } from './row.js';
import { flagOf, type OptionName, type Options, optionRows, variableOf } from './table.js';
import { InvalidValue } from './values.js';

/** What ends the command before it has started: text for standard output, exit code 0. */
export type Shown = { readonly text: string };

/** Texts of options that are given, by option name, and what each is called where it was given. */
type Given = Map<OptionName, { readonly text: string; readonly source: string }>;

/** Reads the arguments after the command's name, and the environment, which they beat. Throws a StartError that names the remedy. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv, version: string): Options | Shown {
	const given: Given = new Map();
	const shown = readArguments(args, version, given);
	if (shown !== undefined) return shown;
	readEnvironment(env, given);
	const options = Object.fromEntries(optionRows.map(([name, row]) => [name, parseValue(row, given.get(name))])) as Options;
	checkTogether(options);
	return options;
}

function readArguments(args: readonly string[], version: string, given: Given): Shown | undefined {
	const shown: string[] = [];
	const command = new Command('pathcast')
		.description('An ephemeral publish/subscribe server: every URL path is a channel.')
		.version(version)
		.exitOverride()
		.configureOutput({ writeOut: (text) => shown.push(text), writeErr: () => {} })
		.configureHelp({ helpWidth: 100 })
		.allowExcessArguments(false)
		.addHelpText('after', `\nEvery option can be set by the environment, as in ${variableOf('maxMessage')}=1MiB.`);
	for (const [name, { group, value, default: text, help, isList }] of optionRows) {
		const option = new Option(`${flagOf(name)} ${value === undefined ? '[true|false]' : `<${value}>`}`, help).helpGroup(
			`${group}:`,
		);
		if (value !== undefined && text !== '') option.default(text);
		if (isList) option.argParser((item: string, earlier?: string) => (earlier ? `${earlier},${item}` : item));
		command.addOption(option);
	}
	try {
		command.parse(args.map(withTwoDashes), { from: 'user' });
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		if (error.exitCode === 0) return { text: shown.join('') };
		// A misspelt flag may have a password for its value: `--rely=redis://:password@host`.
		const message = error.message
			.replace(/^error: |\.$/g, '')
			.replaceAll('\n', ' ')
			.replace(/('--[^'=]*)=[^']*'/, "$1'");
		throw new StartError(`${message}; pathcast --help lists the options.`);
	}
	for (const [name] of optionRows) {
		if (command.getOptionValueSource(name) !== 'cli') continue;
		given.set(name, { text: String(command.getOptionValue(name)), source: flagOf(name) });
	}
	return undefined;
}

/** pinghub's flags, as Go's, may begin with one dash: `-addr=:8081`. */
function withTwoDashes(argument: string): string {
	return /^-[a-z][a-z-]+(=|$)/.test(argument) ? `-${argument}` : argument;
}

// Kubernetes injects these into every container for a Service that is called pathcast.
const injected = /^PATHCAST_(SERVICE_.*|PORT|PORT_.*)$/;

function readEnvironment(env: NodeJS.ProcessEnv, given: Given): void {
	const names = new Map(optionRows.map(([name]) => [variableOf(name), name]));
	for (const [variable, text] of Object.entries(env)) {
		if (!variable.startsWith('PATHCAST_') || text === undefined || injected.test(variable)) continue;
		const name = names.get(variable);
		if (name === undefined) {
			throw new StartError(
				`${variable} is no option; did you mean ${nearest(variable, [...names.keys()])}? pathcast --help lists them.`,
			);
		}
		if (!given.has(name)) given.set(name, { text, source: variable });
	}
}

function nearest(word: string, candidates: readonly string[]): string {
	return candidates.reduce((best, candidate) => (editDistance(word, candidate) < editDistance(word, best) ? candidate : best));
}

/** How many letters to add, drop or change to get from one word to the other (Levenshtein). */
function editDistance(from: string, to: string): number {
	let row = Array.from({ length: to.length + 1 }, (_, i) => i);
	for (const [i, letter] of [...from].entries()) {
		const next = [i + 1];
		for (const [j, other] of [...to].entries()) {
			next.push(Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)));
		}
		row = next;
	}
	return row.at(-1) ?? 0;
}

function parseValue(row: OptionRow<unknown>, given: { text: string; source: string } | undefined): unknown {
	if (given === undefined) return row.parse(row.default);
	try {
		// An unset variable of a shell must not switch a check off.
		if (given.text === '') throw new InvalidValue('is empty: leave it out, or give it a value');
		return row.parse(given.text);
	} catch (error) {
		if (!(error instanceof InvalidValue)) throw error;
		throw new StartError(`${given.source}: ${row.isSecret ? 'its value' : JSON.stringify(given.text)} ${error.message}.`);
	}
}

function checkTogether(options: Options): void {
	const { maxBacklog, maxMessage, tlsCert, tlsKey, post, mport, auth, closeCallback, webhook, webhookSecretFile } = options;
	if (maxBacklog < maxMessage) {
		throw new StartError(
			`--max-backlog (${maxBacklog} bytes) is below --max-message (${maxMessage} bytes): ` +
				'one message could disconnect its readers; raise the one or lower the other.',
		);
	}
	if ((tlsCert === undefined) !== (tlsKey === undefined)) {
		const missing = tlsCert === undefined ? '--tls-cert' : '--tls-key';
		throw new StartError(`${missing} is missing: TLS takes both --tls-cert and --tls-key.`);
	}
	checkRelay(options);
	if (post === 'admin' && mport === 'off') {
		throw new StartError("--post admin leaves nobody to POST without the operator's listener: give --mport, or --post public.");
	}
	if (closeCallback !== undefined && auth === undefined) {
		throw new StartError(
			'--close-callback tells of sessions, and only --auth gives connections one: give --auth, or use --webhook.',
		);
	}
	if (webhookSecretFile !== undefined && webhook.length === 0) {
		throw new StartError('--webhook-secret-file signs what webhooks get, and there is none: give --webhook.');
	}
}

function checkRelay({ relay, relayPasswordFile, relayCa, relayCert, relayKey }: Options): void {
	const given = { relayPasswordFile, relayCa, relayCert, relayKey };
	for (const [name, value] of Object.entries(given) as [keyof typeof given, string | undefined][]) {
		if (value !== undefined && relay === undefined)
			throw new StartError(`${flagOf(name)} is for a relay, and there is none: give --relay.`);
		if (value !== undefined && name !== 'relayPasswordFile' && relay?.isTls === false)
			throw new StartError(`${flagOf(name)} is for TLS, and --relay does not ask for it: write rediss:// in its URL.`);
	}
	if (relay?.password !== undefined && relayPasswordFile !== undefined)
		throw new StartError('--relay and --relay-password-file both hold a password: leave it out of the URL.');
	if ((relayCert === undefined) !== (relayKey === undefined)) {
		const missing = relayCert === undefined ? '--relay-cert' : '--relay-key';
		throw new StartError(`${missing} is missing: a certificate for the relay takes both --relay-cert and --relay-key.`);
	}
}
