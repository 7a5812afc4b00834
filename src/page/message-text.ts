// A message in words and figures. Knows no document.

export type Message = {
	readonly at: Date;
	/** Its text, or its bytes if it is binary. */
	readonly content: string | Uint8Array;
	/** Its length on the wire, without framing. */
	readonly bytes: number;
	/** Whether this page sent it. */
	readonly isOwn: boolean;
};

const encoder = new TextEncoder();

/** The length of a text on the wire, in bytes of UTF-8. */
export function utf8Bytes(text: string): number {
	return encoder.encode(text).length;
}

/** Bytes with at most four digits, in units of 1,024. */
export function byteFigure(bytes: number): string {
	if (bytes < 1_024) return `${Math.round(bytes)} B`;
	const isMany = bytes >= 1_048_576;
	const figure = bytes / (isMany ? 1_048_576 : 1_024);
	return `${figure < 100 ? figure.toFixed(1) : figure.toFixed(0)} ${isMany ? 'MiB' : 'KiB'}`;
}

/** Local time of day to the millisecond: 09:05:02.007. */
export function timeOfDay(date: Date): string {
	const digits = (value: number, count = 2) => String(value).padStart(count, '0');
	return `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}.${digits(date.getMilliseconds(), 3)}`;
}

/** Sixteen bytes a line: offset, hexadecimal, and ASCII where it can be printed. */
export function hexDump(bytes: Uint8Array): string {
	const lines: string[] = [];
	for (let at = 0; at < bytes.length; at += 16) {
		const row = [...bytes.subarray(at, at + 16)];
		const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
		const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
		lines.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${ascii}`);
	}
	return lines.join('\n');
}

/** The beginning of a text, not cut within a character. */
export function beginning(text: string, unitsMax: number, linesMax = Number.POSITIVE_INFINITY): string {
	const cut = text.slice(0, unitsMax).split('\n').slice(0, linesMax).join('\n');
	return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}
