// The options of the relay: rows of the option table.
import type { Host, RelayTarget } from '../relay/target.js';
import { type OptionRow, optional } from './row.js';
import { InvalidValue, parseDuration } from './values.js';

export const relayOptions = {
	relay: {
		group: 'Relay',
		value: 'url',
		default: '',
		help: 'Share the channels with other servers over Redis 7, or Valkey: redis://[user[:password]@]host[:port], of one server or of nodes of a cluster (redis://a:7000,b:7000); rediss:// for TLS; redis+sentinel://a:26379,b:26379/name; unix:///absolute/path.',
		parse: optional(parseRelay),
		isSecret: true,
	},
	relayPasswordFile: {
		group: 'Relay',
		value: 'file',
		default: '',
		help: 'The file whose first line is the password of the relay, in place of one in the URL, which others can see.',
		parse: optional(String),
	},
	relayCa: {
		group: 'Relay',
		value: 'file',
		default: '',
		help: 'The CA certificates in PEM for the certificate of the relay, with rediss://; without this, those of Node.',
		parse: optional(String),
	},
	relayCert: {
		group: 'Relay',
		value: 'file',
		default: '',
		help: 'The certificate in PEM that this server shows to the relay. Goes with --relay-key.',
		parse: optional(String),
	},
	relayKey: {
		group: 'Relay',
		value: 'file',
		default: '',
		help: "That certificate's private key in PEM, without a passphrase.",
		parse: optional(String),
	},
	relayPrefix: {
		group: 'Relay',
		value: 'text',
		default: 'pathcast:',
		help: 'The text before a path in the name of its channel at the relay. Deployments that share a relay need different prefixes.',
		parse: parsePrefix,
	},
	relayTimeout: {
		group: 'Relay',
		value: 'duration',
		default: '5s',
		help: 'How long an answer of the relay may take, before its connection is given up, and its subscribers are closed: 1s to 60s.',
		parse: parseDuration(1, 60),
	},
	relayLinger: {
		group: 'Relay',
		value: 'duration',
		default: '5s',
		help: 'How long a channel without subscribers here stays subscribed to at the relay, so that the reload of a page costs nothing: 1s to 1h.',
		parse: parseDuration(1, 3_600),
	},
} satisfies Record<string, OptionRow<unknown>>;

const remedy = 'write redis://host:6379, rediss://host:6379, redis+sentinel://host:26379/name, or unix:///absolute/path';
const defaultPorts = { redis: 6_379, sentinel: 26_379 };

/** The servers of the relay. No error repeats the URL, which may hold a password. */
function parseRelay(text: string): RelayTarget {
	const [, scheme = '', credentials, rest = ''] =
		/^(redis|rediss|redis\+sentinel|rediss\+sentinel|unix):\/\/(?:([^@]*)@)?(.*)$/.exec(text) ?? [];
	if (scheme === '') throw new InvalidValue(`is not the URL of a relay: ${remedy}`);
	const [username = '', password = ''] = credentials?.split(/:(.*)/s) ?? [];
	const common = {
		isTls: scheme.startsWith('rediss'),
		username: username === '' ? undefined : decoded(username),
		password: password === '' ? undefined : decoded(password),
	};
	if (scheme === 'unix') {
		if (!/^\/[^\0]*[^/\0]$/.test(rest)) throw new InvalidValue(`has no absolute path of a UNIX socket: ${remedy}`);
		return { ...common, hosts: [], path: decoded(rest), masterName: undefined };
	}
	const [list = '', path = ''] = rest.split(/\/(.*)/s);
	const isSentinel = scheme.endsWith('sentinel');
	const hosts = list.split(',').map((item) => parseHost(item.trim(), isSentinel ? 'sentinel' : 'redis'));
	if (isSentinel && !/^[A-Za-z0-9._-]+$/.test(path))
		throw new InvalidValue('names no master: write redis+sentinel://host:26379/name, with the name that the Sentinels know');
	if (!isSentinel && path !== '')
		throw new InvalidValue('has something after the address: pub/sub knows no databases; write redis://host:6379');
	return { ...common, hosts, path: undefined, masterName: isSentinel ? path : undefined };
}

function parseHost(item: string, kind: keyof typeof defaultPorts): Host {
	const [, ipv6, name, port = String(defaultPorts[kind])] =
		/^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/.exec(item) ?? [];
	const host = ipv6 ?? name;
	if (host === undefined || Number(port) > 65_535 || Number(port) === 0)
		throw new InvalidValue(`has no address of a server: ${remedy}`);
	return { host, port: Number(port) };
}

function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		throw new InvalidValue('has a % without two hexadecimal digits after it: write %25 for a literal %');
	}
}

/** Without braces: a text between braces would put all channels on one server of a cluster. */
function parsePrefix(text: string): string {
	if (!/^[!-z|~]{1,64}$/.test(text))
		throw new InvalidValue('is not a prefix: write up to 64 visible ASCII characters, without braces');
	return text;
}
