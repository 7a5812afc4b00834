// The field to send from: Enter sends, Shift+Enter begins a line, arrow up brings back what was sent.
import { byId } from './element.js';
import { byteFigure, utf8Bytes } from './message-text.js';
import type { Settings } from './settings.js';

const rowsMax = 8;
const sentMax = 50;

export class Composer {
	readonly #field = byId<HTMLTextAreaElement>('text');
	readonly #advice = byId('advice');
	readonly #settings: Settings;
	readonly #send: (text: string) => boolean;
	#sent: string[] = [];
	/** Which of those sent the field shows; their number if none. */
	#recalled = 0;
	/** What stood in the field when the first was brought back. */
	#draft = '';

	/** `send` tells whether there was a connection to send by. */
	constructor(settings: Settings, send: (text: string) => boolean) {
		this.#settings = settings;
		this.#send = send;
		this.#field.addEventListener('input', () => this.#look());
		this.#field.addEventListener('keydown', (event) => this.#keyPressed(event));
		byId('form').addEventListener('submit', (event) => {
			event.preventDefault();
			this.#submit();
		});
		if (settings.mayPublish) return;
		for (const control of byId<HTMLFormElement>('form').elements) (control as HTMLButtonElement).disabled = true;
		this.#advise(
			settings.allowsPost
				? 'This server takes messages by POST only (--client-publish none).'
				: 'Only the operator of this server publishes (--client-publish none, --post admin).',
		);
	}

	#keyPressed(event: KeyboardEvent): void {
		// An Enter that ends the composition of a character (as with Japanese keyboards) sends nothing.
		if (event.isComposing) return;
		const { value, selectionStart, selectionEnd } = this.#field;
		if (event.key === 'Enter' && !event.shiftKey) {
			event.preventDefault();
			this.#submit();
		} else if (event.key === 'ArrowUp' && selectionEnd === 0) {
			this.#recall(event, this.#recalled - 1);
		} else if (event.key === 'ArrowDown' && selectionStart === value.length) {
			this.#recall(event, this.#recalled + 1);
		}
	}

	#recall(event: Event, nth: number): void {
		if (nth < 0 || nth > this.#sent.length) return;
		event.preventDefault();
		if (this.#recalled === this.#sent.length) this.#draft = this.#field.value;
		const isUpwards = nth < this.#recalled;
		this.#recalled = nth;
		this.#field.value = this.#sent[nth] ?? this.#draft;
		// There, the next press of the same arrow goes on.
		const caret = isUpwards ? 0 : this.#field.value.length;
		this.#field.setSelectionRange(caret, caret);
		this.#look();
	}

	#submit(): void {
		const text = this.#field.value;
		if (text === '' || this.#excess() > 0) return;
		if (!this.#send(text)) {
			this.#advise('Not connected: not sent.');
			return;
		}
		this.#sent = [...this.#sent.filter((earlier) => earlier !== text), text].slice(-sentMax);
		this.#recalled = this.#sent.length;
		this.#draft = '';
		this.#field.value = '';
		this.#look();
	}

	#excess(): number {
		return utf8Bytes(this.#field.value) - this.#settings.maxMessage;
	}

	#look(): void {
		const excess = this.#excess();
		const { maxMessage } = this.#settings;
		this.#field.rows = Math.min(rowsMax, this.#field.value.split('\n').length);
		this.#field.setAttribute('aria-invalid', String(excess > 0));
		this.#advise(
			excess > 0 ? `${byteFigure(excess)} too long: the server takes ${maxMessage.toLocaleString()} bytes (--max-message).` : '',
		);
	}

	#advise(text: string): void {
		if (this.#advice.textContent !== text) this.#advice.textContent = text;
	}
}
