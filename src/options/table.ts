// The option table. The options' type, --help, the environment's names and the table of docs/options.md all come from it.
import { logFormats, logLevels } from '../observe/log.js';
import { hookOptions } from './hook-options.js';
import { relayOptions } from './relay-options.js';
import { type OptionRow, optional } from './row.js';
import {
	parseAbsolutePath,
	parseAddress,
	parseChoice,
	parseCount,
	parseDuration,
	parseDurationOrOff,
	parseMode,
	parseNetworks,
	parseOperatorAddress,
	parseOriginRules,
	parseSecondsOrNever,
	parseSize,
	parseSwitch,
} from './values.js';

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
		help: "The operator's listener (/ there lists what it has): a port on 127.0.0.1, host:port, or off.",
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
		help: 'Pages that may subscribe and publish: scheme://host[:port], scheme://*.host[:port] for all below a host, same_origin, same_hostname (neither stops DNS rebinding, explicit origins do), null or file:// for pages without an origin; repeated or separated by commas. All, if not given.',
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
	post: {
		group: 'Who may connect',
		value: 'where',
		default: 'public',
		help: "Where POST and PUT publish: public (here, and on the operator's listener) or admin (on the operator's listener alone).",
		parse: parseChoice(['public', 'admin']),
	},
	trustProxy: {
		group: 'Who may connect',
		value: 'networks',
		default: '',
		help: "Proxies (addresses or CIDR networks) whose X-Forwarded-For tells the client's address, for the log and the hooks; repeated or separated by commas.",
		isList: true,
		parse: parseNetworks,
	},
	...hookOptions,
	...relayOptions,
	maxMessage: {
		group: 'Messages',
		value: 'size',
		default: '65536',
		help: 'The longest message, up to 64MiB.',
		// The engine counts in 32 bits, and takes twice this. A larger message belongs on a file server.
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
	groups: {
		group: 'Messages',
		default: 'false',
		help: 'Let a websocket that offers the subprotocol pathcast.groups.v1 subscribe to many channels, and change them.',
		parse: parseSwitch,
	},
	pingTimeout: {
		group: 'Messages',
		value: 'duration',
		default: '30s',
		help: 'Drop a websocket whose peer answers no ping for this long: 8s to 960s (or in minutes, 2m), or 0 for never. An event stream gets a comment every half of it.',
		parse: parseSecondsOrNever(8, 960),
	},
	maxBacklog: {
		group: 'Messages',
		value: 'size',
		default: '4MiB',
		help: 'Disconnect a subscriber that lags this far behind. At least --max-message, at most 1024MiB.',
		parse: parseSize(1_024, 1_024 * 1_048_576),
	},
	writeTimeout: {
		group: 'Messages',
		value: 'duration',
		default: '10s',
		help: 'Disconnect a subscriber whose backlog has not shrunk for this long: 1s to 3600s (or in minutes, 2m), or 0 for never.',
		parse: parseSecondsOrNever(1, 3_600),
	},
	maxConnections: {
		group: 'Limits',
		value: 'count',
		default: '0',
		help: 'The most websockets and event streams at a time; 0 for as many as the limit of file descriptors (ulimit -n) allows, which the start line of the log tells.',
		parse: parseCount(0, 100_000_000),
	},
	maxChannels: {
		group: 'Limits',
		value: 'count',
		default: '0',
		help: 'The most channels at a time, or 0 for any number.',
		parse: parseCount(0, 100_000_000),
	},
	maxSubscribers: {
		group: 'Limits',
		value: 'count',
		default: '0',
		help: 'The most subscribers of one channel, or 0 for any number.',
		parse: parseCount(0, 100_000_000),
	},
	maxGroups: {
		group: 'Limits',
		value: 'count',
		default: '64',
		help: 'The most channels of one websocket with --groups, up to 1000.',
		parse: parseCount(1, 1_000),
	},
	maxRate: {
		group: 'Limits',
		value: 'messages',
		default: '0',
		help: 'The most messages a second that one websocket may send, empty ones and pings included, or 0 for any number.',
		parse: parseCount(0, 1_000_000),
	},
	memoryBudget: {
		group: 'Limits',
		value: 'size',
		default: '0',
		help: 'When the process holds more than this (RSS), the subscribers with the largest backlogs are disconnected, then no more are let in; at least 64MiB, or 0 for no budget.',
		parse: parseSize(64 * 1_048_576, 1_048_576 * 1_048_576, true),
	},
	maxAge: {
		group: 'Closing',
		value: 'duration',
		default: 'off',
		help: 'Close each websocket and event stream at this age, give or take 10 %, so that clients connect anew, wherever a proxy sends them then: 1s to 720h, or off.',
		parse: parseDurationOrOff(1, 720 * 3_600),
	},
	drain: {
		group: 'Closing',
		value: 'duration',
		default: '5s',
		help: 'When stopping, close websockets and event streams evenly over this time, so that clients do not return all at once: up to 1h. Fewer than 200 go at once.',
		parse: parseDuration(0, 3_600),
	},
	drainDelay: {
		group: 'Closing',
		value: 'duration',
		default: '0s',
		help: 'When stopping, go on listening for this time while /readyz is 503, so that load balancers can see it: up to 1h.',
		parse: parseDuration(0, 3_600),
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

export type OptionName = keyof typeof optionTable;

/** Every option, parsed: sizes in bytes, durations in seconds. Plain data. */
export type Options = { readonly [Name in OptionName]: ReturnType<(typeof optionTable)[Name]['parse']> };

/** The table as a list. */
export const optionRows = Object.entries(optionTable) as [OptionName, OptionRow<unknown>][];

export function flagOf(name: OptionName): string {
	return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function variableOf(name: OptionName): string {
	return `PATHCAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
