// What can be done with one message: copy it, show it whole, indent it. One set of buttons, in the message that is pointed at.
import { copyButton } from './copy.js';
import { button, element } from './element.js';
import { indentedJson, isJson } from './indented-json.js';
import { hexDump, type Message } from './message-text.js';

export type Tooled = { readonly message: Message; readonly body: HTMLElement };

export class MessageTools {
	readonly #tools = element('span', 'tools');
	readonly #whole = button('Show all', () => this.#show(false));
	readonly #indent = button('Indent', () => this.#show(this.#indent.getAttribute('aria-pressed') !== 'true'));
	readonly #lines = new WeakMap<Element, Tooled>();
	readonly #indented = new WeakSet<Element>();
	#line: Tooled | undefined;

	constructor(list: HTMLElement) {
		this.#tools.append(
			this.#indent,
			this.#whole,
			copyButton('the message', () => (this.#line === undefined ? '' : wholeOf(this.#line.message))),
		);
		for (const event of ['pointerover', 'focusin', 'click'] as const) {
			list.addEventListener(event, ({ target }) => this.#moveTo((target as Element).closest('li')));
		}
	}

	/** Makes it known which message a line shows. */
	know(item: Element, line: Tooled): void {
		this.#lines.set(item, line);
	}

	#moveTo(item: Element | null): void {
		const line = item === null ? undefined : this.#lines.get(item);
		if (item === null || line === undefined || line === this.#line) return;
		this.#line = line;
		const { content } = line.message;
		this.#indent.hidden = typeof content !== 'string' || !isJson(content);
		this.#indent.setAttribute('aria-pressed', String(this.#indented.has(line.body)));
		this.#whole.hidden = item.querySelector('.rest') === null;
		item.append(this.#tools);
	}

	#show(isIndented: boolean): void {
		if (this.#line === undefined) return;
		const { message, body } = this.#line;
		body.textContent = isIndented ? indentedJson(wholeOf(message)) : wholeOf(message);
		if (isIndented) this.#indented.add(body);
		else this.#indented.delete(body);
		body.parentElement?.querySelector('.rest')?.remove();
		this.#whole.hidden = true;
		this.#indent.setAttribute('aria-pressed', String(isIndented));
	}
}

function wholeOf({ content }: Message): string {
	return typeof content === 'string' ? content : hexDump(content);
}
