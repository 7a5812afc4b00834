// Turns a raw request path into the name of a channel, or says why it is none. Knows nothing of HTTP.

declare const channelNameBrand: unique symbol;

/** A decoded path: valid UTF-8, leading slash, at most as many code points as `--max-path` allows. */
export type ChannelName = string & { readonly [channelNameBrand]: true };

declare const sessionNameBrand: unique symbol;

/** The name of a session, which is a private channel: no path leads to it, because it has no leading slash. */
export type SessionName = ChannelName & { readonly [sessionNameBrand]: true };

/** Why a path names no channel, as one line for the client. */
export type PathRefused = { readonly status: 400; readonly cause: 'path'; readonly reason: string };

const malformedPercent = /%(?![0-9A-Fa-f]{2})/;

/**
 * The channel of a request path as the engine hands it over: the query cut off, percent-encoding untouched.
 * The path is decoded exactly once and not normalised: `/a`, `/a/`, `//a` and `/a/../a` are four channels.
 */
export function parseChannelName(path: string, maxPath: number): ChannelName | PathRefused {
	// The engine puts U+FFFD where raw bytes are not UTF-8, so distinct paths would share a channel.
	if (path.includes('\uFFFD')) {
		return refused('The path holds raw bytes that are not UTF-8: percent-encode it as UTF-8.');
	}
	let name = path;
	if (path.includes('%')) {
		try {
			name = decodeURIComponent(path);
		} catch {
			return malformedPercent.test(path)
				? refused('The path holds a % without two hexadecimal digits after it: write %25 for a literal %.')
				: refused('The path is not valid UTF-8 after percent-decoding: encode it as UTF-8.');
		}
	}
	// The engine lets no other path through. The slash alone keeps channels apart from sessions.
	if (!name.startsWith('/')) return refused('The path must begin with a slash.');
	// A code point takes one or two UTF-16 units, so most paths need no count.
	if (name.length > maxPath && countCodePoints(name) > maxPath) {
		return refused(`The path is longer than ${maxPath} characters, its leading slash included (--max-path).`);
	}
	return name as ChannelName;
}

/** The channel of a path in a header field, which has one character for each byte of it. See parseWrittenPath. */
export function parseChannelField(value: string, maxPath: number): ChannelName | PathRefused {
	return parseWrittenPath(Buffer.from(value, 'latin1').toString(), maxPath);
}

/** The channel of a path that stands in a text: it begins with a slash, has no query, and is percent-encoded, or plain UTF-8. */
export function parseWrittenPath(path: string, maxPath: number): ChannelName | PathRefused {
	if (!/^\/[^?#\s]*$/.test(path)) return refused('This is not a path: begin with a slash, and percent-encode blanks, ? and #.');
	return parseChannelName(path, maxPath);
}

/** The path of a channel, percent-encoded where a URL demands it. */
export function pathOf(name: ChannelName): string {
	return encodeURI(name).replace(/[?#]/g, encodeURIComponent);
}

const sessionCharactersMax = 256;

/**
 * The session of a name that the authorisation service gives: visible ASCII, no leading slash, and no comma, because a header field lists
 * sessions with commas. Undefined if it is none.
 */
export function parseSessionName(text: string): SessionName | undefined {
	const isName = text.length <= sessionCharactersMax && /^[!-+\-.0-~][!-+\--~]*$/.test(text);
	return isName ? (text as SessionName) : undefined;
}

export function isSession(name: ChannelName): name is SessionName {
	return !name.startsWith('/');
}

function countCodePoints(text: string): number {
	let count = 0;
	for (const _ of text) count++;
	return count;
}

function refused(reason: string): PathRefused {
	return { status: 400, cause: 'path', reason };
}
