// The values that options take: each parser turns text into a value or throws an InvalidValue that says what would be right.
import { isIP, isIPv6 } from 'node:net';
import type { Network } from '../connections/client-address.js';
import { isOpaque, type OriginRule, parseOrigin } from '../http/origin.js';
import type { Address, TcpAddress } from '../listening/addresses.js';
import { formatDuration, readDuration } from './duration.js';

/** A value that an option does not take. The message follows the flag and the value: `--addr: "nowhere" is …`. */
export class InvalidValue extends Error {}

/** `host:port`, or the absolute path of a UNIX socket. */
export function parseAddress(text: string): Address {
	if (!text.startsWith('/')) return parseTcpAddress(text);
	// sun_path holds 108 bytes with its final NUL (unix(7)).
	if (Buffer.byteLength(text) > 107) throw new InvalidValue('is too long for a UNIX socket: its path may take 107 bytes');
	return { path: parseAbsolutePath(text) };
}

export function parseAbsolutePath(text: string): string {
	if (!text.startsWith('/') || text.endsWith('/') || text.includes('\0')) {
		throw new InvalidValue('is not the absolute path of a file: begin with / and end with a name');
	}
	return text;
}

/** The URL of a service that the server asks. */
export function parseUrl(text: string): URL {
	const remedy = 'write http://host:port/path or https://host/path';
	if (!/^https?:\/\/[^/?#]/i.test(text) || !URL.canParse(text)) throw new InvalidValue(`is not the URL of a service: ${remedy}`);
	const url = new URL(text);
	if (url.username !== '' || url.password !== '') throw new InvalidValue(`holds a name or a password: ${remedy}`);
	if (url.hash !== '') throw new InvalidValue(`has a fragment (#), which no service gets: ${remedy}`);
	return url;
}

/** URLs, separated by commas; none at all is an empty list. */
export function parseUrls(text: string): readonly URL[] {
	return text === '' ? [] : text.split(',').map((item) => parseUrl(item.trim()));
}

/** The name of a header field, in any case of letters (RFC 9110, section 5.1). */
export function parseFieldName(text: string): string {
	if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/.test(text)) {
		throw new InvalidValue('is not the name of a header field: write letters, digits and -, as in X-Session');
	}
	if (notForSessions.test(text))
		throw new InvalidValue('has another meaning in HTTP or here: choose a name of your own, as in X-Session');
	return text;
}

const notForSessions =
	/^(connection|content-.*|cookie|date|host|keep-alive|origin|prefer|server|set-cookie|te|trailer|transfer-encoding|upgrade|x-channel|x-endpoint|x-forwarded-.*|x-kuiperbelt-endpoint|x-max-age|x-original-.*|x-publish|x-real-ip|x-rewrite)$/i;

/** An address that other machines understand. */
export function parseHostAndPort(text: string): string {
	if (!/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/.test(text)) {
		throw new InvalidValue('is not an address: write host:port, as in node1.internal:8082');
	}
	return text;
}

/** Some of these words, separated by commas; none at all stands for all. */
export function parseKinds<const Kind extends string>(kinds: readonly Kind[]): (text: string) => readonly Kind[] {
	return (text) =>
		(text === '' ? kinds : text.split(',')).map((item) => {
			const kind = kinds.find((known) => known === item.trim());
			if (kind === undefined) throw new InvalidValue(`is not a list of these, separated by commas: ${kinds.join(', ')}`);
			return kind;
		});
}

/** Permissions in octal, as chmod takes them. */
export function parseMode(text: string): number {
	if (!/^0?[0-7]{3}$/.test(text)) throw new InvalidValue('is not a mode: write three octal digits, as in 0660');
	return Number.parseInt(text, 8);
}

/** Addresses and CIDR networks, separated by commas. */
export function parseNetworks(text: string): readonly Network[] {
	if (text === '') return [];
	return text.split(',').map((item) => {
		const [address = '', prefix, ...rest] = item.trim().split('/');
		const bits = isIP(address) === 6 ? 128 : 32;
		const isPrefix = prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= bits);
		if (isIP(address) === 0 || !isPrefix || rest.length > 0) {
			throw new InvalidValue('is not a list of networks: write addresses or CIDR, as in 127.0.0.1,10.0.0.0/8');
		}
		return { address, prefixBits: Number(prefix ?? bits), family: bits === 128 ? 'ipv6' : 'ipv4' };
	});
}

function parseTcpAddress(text: string): TcpAddress {
	const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})$/.exec(text);
	const port = Number(match?.[3]);
	if (match === null || (match[1] !== undefined && !isIPv6(match[1]))) {
		throw new InvalidValue('is not an address: write host:port, :port for all interfaces, [::1]:port, or /absolute/path');
	}
	return { host: match[1] ?? match[2] ?? '', port: checkedPort(port) };
}

/** A port on 127.0.0.1, a whole address, or `off`. */
export function parseOperatorAddress(text: string): TcpAddress | 'off' {
	if (text === 'off') return 'off';
	if (/^[0-9]+$/.test(text)) return { host: '127.0.0.1', port: checkedPort(Number(text)) };
	if (!text.includes(':')) throw new InvalidValue('is not an address: write a port (on 127.0.0.1), host:port, or off');
	return parseTcpAddress(text);
}

function checkedPort(port: number): number {
	if (port > 65_535) throw new InvalidValue('has no such port: ports go from 0 (any free one) to 65535');
	return port;
}

const unitBytes: Record<string, number> = { '': 1, KiB: 1_024, MiB: 1_048_576 };

/** A parser of sizes in bytes. */
export function parseSize(bytesMin: number, bytesMax: number, allowsNone = false): (text: string) => number {
	const none = allowsNone ? ', or 0 for none' : '';
	return (text) => {
		if (allowsNone && text === '0') return 0;
		const match = /^([0-9]{1,12})(|KiB|MiB)$/.exec(text);
		const bytes = Number(match?.[1]) * (unitBytes[match?.[2] ?? ''] ?? 1);
		if (match !== null && bytes >= bytesMin && bytes <= bytesMax) return bytes;
		throw new InvalidValue(
			`is not a size from ${formatSize(bytesMin)} to ${formatSize(bytesMax)}: write bytes, or 64KiB, or 4MiB${none}`,
		);
	};
}

function formatSize(bytes: number): string {
	const unit = bytes % 1_048_576 === 0 ? 'MiB' : bytes % 1_024 === 0 ? 'KiB' : '';
	return `${bytes / (unitBytes[unit] ?? 1)}${unit}`;
}

export function parseCount(min: number, max: number): (text: string) => number {
	return (text) => {
		const count = Number(text);
		if (/^[0-9]{1,12}$/.test(text) && count >= min && count <= max) return count;
		throw new InvalidValue(`is not a whole number from ${min} to ${max}`);
	};
}

/** Whole seconds: 0 for never, or from min to max. Others would abort the process, as the engine's own time-outs. */
export function parseSecondsOrNever(min: number, max: number): (text: string) => number {
	return (text) => {
		const seconds = readDuration(text);
		if (seconds === 0 || (seconds !== undefined && seconds >= min && seconds <= max)) return seconds;
		throw new InvalidValue(`is not a duration from ${min}s to ${max}s: write 30s, or 2m, or 0 for never`);
	};
}

/** A parser of durations, in seconds. */
export function parseDuration(min: number, max: number): (text: string) => number {
	return (text) => {
		const seconds = readDuration(text);
		if (seconds !== undefined && seconds >= min && seconds <= max) return seconds;
		throw new InvalidValue(`is not a duration from ${formatDuration(min)} to ${formatDuration(max)}: write 30s, or 2m`);
	};
}

/** The same, or undefined for `off`. */
export function parseDurationOrOff(min: number, max: number): (text: string) => number | undefined {
	return (text) => {
		const seconds = readDuration(text);
		if (text === 'off' || (seconds !== undefined && seconds >= min && seconds <= max)) return seconds;
		throw new InvalidValue(`is not a duration from ${formatDuration(min)} to ${formatDuration(max)}: write 30m, or 12h, or off`);
	};
}

export function parseChoice<const Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
	return (text) => {
		const choice = choices.find((known) => known === text);
		if (choice === undefined) throw new InvalidValue(`is none of ${choices.join(', ')}`);
		return choice;
	};
}

/** An option that is on or off. */
export function parseSwitch(text: string): boolean {
	return parseChoice(['true', 'false'])(text) === 'true';
}

/** Origins and the words that stand for one, separated by commas; none at all is an empty list. */
export function parseOriginRules(text: string): readonly OriginRule[] {
	if (text === '') return [];
	return text.split(',').map((item) => {
		const rule = item.trim();
		if (rule === 'same_origin' || rule === 'same_hostname' || isOpaque(rule)) return rule;
		if (rule === '*') throw new InvalidValue('would allow every page, which is so without this option: leave it out');
		const [, scheme = '', parent] = /^([^/]*:\/\/)\*\.(.+)$/.exec(rule) ?? [];
		const origin = parseOrigin(parent === undefined ? rule : scheme + parent);
		if (origin !== undefined) return parent === undefined ? origin : { ...origin, host: `.${origin.host}`, isSuffix: true };
		throw new InvalidValue(
			'is not a list of origins: write scheme://host[:port], scheme://*.host[:port] for all below a host, same_origin, same_hostname, null or file://, separated by commas',
		);
	});
}
