// One message in the list, and what of it is shown before more is asked for.
import { element } from './element.js';
import { beginning, byteFigure, hexDump, type Message, timeOfDay } from './message-text.js';

export type Line = { readonly message: Message; readonly element: HTMLLIElement; readonly body: HTMLElement };

// More would take long to lay out, a thousand times: the rest is shown when it is asked for.
const shownUnits = 1_000;
const shownLines = 30;
const shownBytes = 256;

/** A line that shows a message's beginning. */
export function lineOf(message: Message): Line {
	const { at, content, bytes, isOwn } = message;
	const item = element('li', isOwn ? 'own' : '');
	item.tabIndex = -1;
	const time = element('time', '', timeOfDay(at));
	time.dateTime = at.toISOString();
	const isText = typeof content === 'string';
	const body = element('span', isText ? 'body' : 'body binary', shortened(content));
	body.dir = isText ? 'auto' : 'ltr';
	item.append(time, element('span', 'size', byteFigure(bytes)), body);
	const left = isText ? content.length - body.textContent.length : content.length - shownBytes;
	if (left > 0) item.append(element('span', 'rest', isText ? `… ${left} more characters` : `… ${left} more bytes`));
	return { message, element: item, body };
}

function shortened(content: string | Uint8Array): string {
	return typeof content === 'string' ? beginning(content, shownUnits, shownLines) : hexDump(content.subarray(0, shownBytes));
}

export function isVisible(line: Line): boolean {
	return !line.element.hidden;
}

/** Whether a message has that text, in lower case, anywhere. */
export function matches({ message: { content }, body }: Line, wanted: string): boolean {
	if (wanted === '') return true;
	return (typeof content === 'string' ? content : body.textContent).toLowerCase().includes(wanted);
}
