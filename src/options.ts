// The option table. The options' type, --help, the environment's names and the README's table all come from it.
import { Command, CommanderError, Option } from 'commander';
import { logFormats, logLevels } from './operations/log.js';
import {
	InvalidValue,
	parseAbsolutePath,
	parseAddress,
	parseChoice,
	parseCount,
	parseMode,
	parseNetworks,
	parseOperatorAddress,
	parseOriginRules,
	parseSecondsOrNever,
	parseSize,
	parseSwitch,
} from './option-values.js';
import { StartError } from './start-error.js';

/** One option. `value` names its value in --help; without it, the option is on or off. */
type OptionRow<Value> = {
	readonly group: 'Listening' | 'Messages' | 'Who may connect' | 'Logging';
	readonly value?: string;
	readonly default: string;
	readonly help: string;
	/** Whether it may be repeated, each time adding to a comma-separated list. */
	readonly isList?: boolean;
	parse(text: string): Value;
};

export const optionTable = {
	addr: {
		group: 'Listening',
		value: 'address',
		default: '127.0.0.1:8081',
		help: 'Where to listen: host:port, :port for all interfaces, [::1]:port, /absolute/path of a UNIX socket; port 0 for any free one. Never shared with a second process.',
		parse: parseAddress,
	},
	addrMode: {
		group: 'Listening',
		value: 'mode',
		default: '0660',
		help: 'The permissions of the UNIX socket, in octal.',
		parse: parseMode,
	},
	mport: {
		group: 'Listening',
		value: 'address',
		default: '8082',
		help: "The operator's listener (/metrics, /healthz, /readyz): a port on 127.0.0.1, host:port, or off.",
		parse: parseOperatorAddress,
	},
	tlsCert: {
		group: 'Listening',
		value: 'file',
		default: '',
		help: 'The certificate chain in PEM, to speak https and wss. Goes with --tls-key. Renewed by a restart.',
		parse: optional(String),
	},
	tlsKey: {
		group: 'Listening',
		value: 'file',
		default: '',
		help: "The certificate's private key in PEM, without a passphrase.",
		parse: optional(String),
	},
	origin: {
		group: 'Who may connect',
		value: 'origins',
		default: '',
		help: 'Pages that may subscribe and publish: scheme://host[:port], same_origin, same_hostname; repeated or separated by commas. All, if not given.',
		isList: true,
		parse: parseOriginRules,
	},
	clientPublish: {
		group: 'Who may connect',
		value: 'who',
		default: 'all',
		help: 'Who may publish by websocket: all or none (websockets only receive).',
		parse: parseChoice(['all', 'none']),
	},
	trustProxy: {
		group: 'Who may connect',
		value: 'networks',
		default: '',
		help: "Proxies (addresses or CIDR networks) whose X-Forwarded-For tells the client's address, for the log; repeated or separated by commas.",
		isList: true,
		parse: parseNetworks,
	},
	maxMessage: {
		group: 'Messages',
		value: 'size',
		default: '65536',
		help: 'The longest message, up to 64MiB.',
		// The engine counts in 32 bits, and takes twice this. Whoever sends more wants a file server.
		parse: parseSize(1, 64 * 1_048_576),
	},
	maxPath: {
		group: 'Messages',
		value: 'characters',
		default: '256',
		help: 'The longest channel name, in Unicode code points after decoding, the leading slash included.',
		// The request line must fit into the engine's 4 KiB.
		parse: parseCount(1, 4_096),
	},
	binary: {
		group: 'Messages',
		default: 'false',
		help: 'Accept binary messages, by websocket and by POST as application/octet-stream.',
		parse: parseSwitch,
	},
	echoKeepalive: {
		group: 'Messages',
		default: 'false',
		help: 'Answer an empty websocket message with an empty message to its sender.',
		parse: parseSwitch,
	},
	pingTimeout: {
		group: 'Messages',
		value: 'duration',
		default: '30s',
		help: 'Drop a websocket whose peer answers no ping for this long: 8s to 960s (or in minutes, 2m), or 0 for never.',
		parse: parseSecondsOrNever(8, 960),
	},
	maxBacklog: {
		group: 'Messages',
		value: 'size',
		default: '4MiB',
		help: 'Disconnect a subscriber that lags this far behind. At least --max-message, at most 1024MiB.',
		parse: parseSize(1_024, 1_024 * 1_048_576),
	},
	log: {
		group: 'Logging',
		value: 'file',
		default: '',
		help: 'Append the log to this file (an absolute path), opened again on SIGHUP; standard output, if not given.',
		parse: optional(parseAbsolutePath),
	},
	logFormat: {
		group: 'Logging',
		value: 'format',
		default: 'auto',
		help: 'How the log looks: json, text, or auto (text on a terminal, else json).',
		parse: parseChoice(logFormats),
	},
	logLevel: {
		group: 'Logging',
		value: 'level',
		default: 'info',
		help: `What to log: ${logLevels.join(', ')}. Connections and publishes appear at debug only; query strings never do.`,
		parse: parseChoice(logLevels),
	},
} satisfies Record<string, OptionRow<unknown>>;

function optional<Value>(parse: (text: string) => Value): (text: string) => Value | undefined {
	return (text) => (text === '' ? undefined : parse(text));
}

export type OptionName = keyof typeof optionTable;

/** Every option, parsed: sizes in bytes, durations in seconds. Plain data. */
export type Options = { readonly [Name in OptionName]: ReturnType<(typeof optionTable)[Name]['parse']> };

/** What ends the command before it has started: text for standard output, exit code 0. */
export type Shown = { readonly text: string };

/** Texts of options that are given, by option name, and what each is called where it was given. */
type Given = Map<OptionName, { readonly text: string; readonly source: string }>;

const rows = Object.entries(optionTable) as [OptionName, OptionRow<unknown>][];

export function flagOf(name: OptionName): string {
	return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function variableOf(name: OptionName): string {
	return `PATHCAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Reads the arguments after the command's name, and the environment, which they beat. Throws a StartError that names the remedy. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv, version: string): Options | Shown {
	const given: Given = new Map();
	const shown = readArguments(args, version, given);
	if (shown !== undefined) return shown;
	readEnvironment(env, given);
	const options = Object.fromEntries(rows.map(([name, row]) => [name, parseValue(row, given.get(name))])) as Options;
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
	for (const [name, { group, value, default: text, help, isList }] of rows) {
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
		const message = error.message.replace(/^error: |\.$/g, '').replaceAll('\n', ' ');
		throw new StartError(`${message}; pathcast --help lists the options.`);
	}
	for (const [name] of rows) {
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
	const names = new Map(rows.map(([name]) => [variableOf(name), name]));
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
		throw new StartError(`${given.source}: ${JSON.stringify(given.text)} ${error.message}.`);
	}
}

function checkTogether({ maxBacklog, maxMessage, tlsCert, tlsKey }: Options): void {
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
}
