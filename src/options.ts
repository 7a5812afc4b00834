// The option table. The options' type, --help and the README's table all come from it.
import { Command, CommanderError, Option } from 'commander';
import { logLevels } from './operations/log.js';
import {
	InvalidValue,
	parseAddress,
	parseChoice,
	parseCount,
	parseOperatorAddress,
	parseOriginRules,
	parseSecondsOrNever,
	parseSize,
	parseSwitch,
} from './option-values.js';
import { StartError } from './start-error.js';

/** One option. `value` names its value in --help; without it, the option is on or off. */
type OptionRow<Value> = { readonly value?: string; readonly default: string; readonly help: string; parse(text: string): Value };

export const optionTable = {
	addr: {
		value: 'address',
		default: '127.0.0.1:8081',
		help: 'Where to listen: host:port, :port for all interfaces, [::1]:port; port 0 for any free one. Never shared with a second process.',
		parse: parseAddress,
	},
	mport: {
		value: 'address',
		default: '8082',
		help: "The operator's listener (/metrics, /healthz, /readyz): a port on 127.0.0.1, host:port, or off.",
		parse: parseOperatorAddress,
	},
	logLevel: {
		value: 'level',
		default: 'info',
		help: `What to log: ${logLevels.join(', ')}. Connections and publishes appear at debug only; query strings never do.`,
		parse: parseChoice(logLevels),
	},
	origin: {
		value: 'origins',
		default: '',
		help: 'Pages that may subscribe and publish: scheme://host[:port], same_origin, same_hostname; repeated or separated by commas. All, if not given.',
		parse: parseOriginRules,
	},
	maxMessage: {
		value: 'size',
		default: '65536',
		help: 'The longest message, in bytes or with KiB, MiB.',
		// The engine counts in 32 bits, and takes twice this. Whoever sends more wants a file server.
		parse: parseSize(1, 64 * 1_048_576),
	},
	maxPath: {
		value: 'characters',
		default: '256',
		help: 'The longest channel name, in Unicode code points after decoding, the leading slash included.',
		// The request line must fit into the engine's 4 KiB.
		parse: parseCount(1, 4_096),
	},
	clientPublish: {
		value: 'who',
		default: 'all',
		help: 'Who may publish by websocket: all or none (websockets only receive).',
		parse: parseChoice(['all', 'none']),
	},
	binary: {
		default: 'false',
		help: 'Accept binary messages, by websocket and by POST as application/octet-stream.',
		parse: parseSwitch,
	},
	echoKeepalive: {
		default: 'false',
		help: 'Answer an empty websocket message with an empty message to its sender.',
		parse: parseSwitch,
	},
	pingTimeout: {
		value: 'duration',
		default: '30s',
		help: 'Drop a websocket whose peer answers no ping for this long: 8s to 960s, or 0 for never.',
		parse: parseSecondsOrNever(8, 960),
	},
	maxBacklog: {
		value: 'size',
		default: '4MiB',
		help: 'Disconnect a subscriber that lags this far behind.',
		parse: parseSize(1_024, 1_024 * 1_048_576),
	},
} satisfies Record<string, OptionRow<unknown>>;

type OptionName = keyof typeof optionTable;

/** Every option, parsed: sizes in bytes, durations in seconds. Plain data. */
export type Options = { readonly [Name in OptionName]: ReturnType<(typeof optionTable)[Name]['parse']> };

/** What ends the command before it has started: text for standard output, exit code 0. */
export type Shown = { readonly text: string };

const rows = Object.entries(optionTable) as [OptionName, OptionRow<unknown>][];

export function flagOf(name: OptionName): string {
	return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Reads the arguments after the command's name. Throws a StartError that names the flag and the remedy. */
export function readOptions(args: readonly string[], version: string): Options | Shown {
	const shown: string[] = [];
	const command = new Command('pathcast')
		.description('An ephemeral publish/subscribe server: every URL path is a channel.')
		.version(version)
		.exitOverride()
		.configureOutput({ writeOut: (text) => shown.push(text), writeErr: () => {} })
		.configureHelp({ helpWidth: 100 });
	for (const [name, { value, default: text, help }] of rows) {
		const option = new Option(value === undefined ? flagOf(name) : `${flagOf(name)} <${value}>`, help);
		if (value !== undefined && text !== '') option.default(text);
		// A repeated list goes on; any other repeated option counts as last given.
		if (name === 'origin') option.argParser((item: string, earlier?: string) => (earlier ? `${earlier},${item}` : item));
		command.addOption(option);
	}
	command.allowExcessArguments(false);
	try {
		command.parse(args, { from: 'user' });
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		if (error.exitCode === 0) return { text: shown.join('') };
		const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
		throw new StartError(`${message}; pathcast --help lists the options.`);
	}
	const given = command.opts<Record<OptionName, string | boolean | undefined>>();
	const options = Object.fromEntries(rows.map(([name, row]) => [name, parseValue(name, row, given[name])])) as Options;
	if (options.maxBacklog < options.maxMessage) {
		throw new StartError(
			`${flagOf('maxBacklog')} (${options.maxBacklog} bytes) is below ${flagOf('maxMessage')} (${options.maxMessage} bytes): ` +
				'one message could disconnect its readers; raise the one or lower the other.',
		);
	}
	return options;
}

function parseValue(name: OptionName, row: OptionRow<unknown>, given: string | boolean | undefined): unknown {
	const text = String(given ?? row.default);
	try {
		return row.parse(text);
	} catch (error) {
		if (!(error instanceof InvalidValue)) throw error;
		throw new StartError(`${flagOf(name)}: ${JSON.stringify(text)} ${error.message}.`);
	}
}
