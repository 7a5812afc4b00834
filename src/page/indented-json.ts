// JSON with a line for each member, and each value as it came. Knows no document.

// Deeper lines begin where these do: thousands of brackets would take millions of blanks.
const levelsMax = 20;

// The empty object and array are one token, like the string with its quotes.
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[[{]\s*[\]}]|[[\]{},:]|[^\s"[\]{},:]+/g;

/** Whether a text is an object or an array in JSON. */
export function isJson(text: string): boolean {
	if (!/^\s*[[{]/.test(text)) return false;
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

/**
 * What `isJson` allows, with other blanks. Token by token, because a value that is parsed and written again has lost the
 * digits of long numbers, repeated keys, and the order of keys that look like numbers.
 */
export function indentedJson(text: string): string {
	let level = 0;
	let indented = '';
	const line = () => `\n${'  '.repeat(Math.min(level, levelsMax))}`;
	for (const [token] of text.matchAll(tokens)) {
		if (token === '{' || token === '[') {
			level++;
			indented += token + line();
		} else if (token === '}' || token === ']') {
			level--;
			indented += line() + token;
		} else if (token === ',') indented += token + line();
		else if (token === ':') indented += ': ';
		else indented += /^[[{]/.test(token) ? `${token[0]}${token.at(-1)}` : token;
	}
	return indented;
}
