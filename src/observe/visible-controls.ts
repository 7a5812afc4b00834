// Characters that a terminal obeys instead of showing, written as JSON escapes. JSON itself escapes those below U+0020 alone.

// DEL and C1 (U+009B begins a command, as ESC [ does), line and paragraph separators, and characters that change the direction of text.
const controls = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// All controls, line ends included.
const anyControl = /\p{Cc}/gu;

/** The same text, to be read by a person in a terminal; the same JSON, if it is JSON. */
export function withVisibleControls(text: string): string {
	return text.replace(controls, escaped);
}

/** The same text as one line, where JSON has escaped nothing: names of variables and of files may have any character in them. */
export function onOneLine(text: string): string {
	return withVisibleControls(text).replace(anyControl, escaped);
}

function escaped(control: string): string {
	return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
