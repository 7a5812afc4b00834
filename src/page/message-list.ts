// The messages as they come: the last thousand, the newest in view unless the reader has scrolled up.
import { byId } from './element.js';
import { Latest } from './latest.js';
import { isVisible, type Line, lineOf, matches } from './message-line.js';
import { beginning, type Message } from './message-text.js';
import { MessageTools } from './message-tools.js';

const endPixels = 40;
// Long enough for a screen reader to finish what it says.
const announceMs = 5_000;

export class MessageList {
	readonly #list = byId<HTMLOListElement>('messages');
	readonly #nothing = byId('nothing');
	readonly #newer = byId<HTMLButtonElement>('newer');
	readonly #pause = byId<HTMLButtonElement>('pause');
	readonly #filter = byId<HTMLInputElement>('filter');
	readonly #shown = byId('shown');
	readonly #tools = new MessageTools(this.#list);
	readonly #lines = new Latest<Line>(({ message }) => message);
	/** What has come and is not in the list yet: until the next frame, or while paused. */
	readonly #waiting = new Latest<Message>((message) => message);
	#isPaused = false;
	/** How many have come while paused, those that no longer wait among them. */
	#held = 0;
	#isAtEnd = true;
	/** The last known scroll position. */
	#top = 0;
	#unseen = 0;
	#frame: number | undefined;
	#announced = 0;
	#announcing: number | undefined;

	constructor() {
		// What scrolls has to be within reach of the keyboard.
		this.#list.tabIndex = 0;
		this.#list.addEventListener('scroll', () => this.#scrolled());
		this.#list.addEventListener('keydown', (event) => this.#keyPressed(event));
		this.#newer.addEventListener('click', () => this.#toEnd());
		this.#pause.addEventListener('click', () => this.#setPaused(!this.#isPaused));
		byId('clear').addEventListener('click', () => this.clear());
		this.#filter.addEventListener('input', () => this.#filterAll());
		// What the reader sees of it stays when the list changes its size.
		new ResizeObserver(() => this.#isAtEnd && this.#toEnd()).observe(this.#list);
	}

	add(message: Message): void {
		this.#waiting.push(message);
		if (this.#isPaused) this.#pause.textContent = `Resume (${(++this.#held).toLocaleString()} new)`;
		// At most once a frame, and not at all while nobody looks.
		else if (this.#frame === undefined) this.#frame = requestAnimationFrame(() => this.#show());
	}

	clear(): void {
		this.#waiting.take();
		this.#lines.take();
		this.#announced = 0;
		this.#list.replaceChildren();
		this.#nothing.hidden = false;
		this.#setPaused(false);
		this.#toEnd();
		this.#countShown();
	}

	#show(): void {
		this.#frame = undefined;
		if (this.#isPaused || this.#waiting.items.length === 0) return;
		const fresh = this.#waiting.take().map(lineOf);
		this.#nothing.hidden = true;
		const wanted = this.#filter.value.toLowerCase();
		for (const line of fresh) line.element.hidden = !matches(line, wanted);
		for (const line of fresh) this.#tools.know(line.element, line);
		this.#list.append(...fresh.map((line) => line.element));
		for (const { element: gone } of fresh.flatMap((line) => this.#lines.push(line))) this.#remove(gone);
		if (this.#isAtEnd) this.#toEnd();
		else this.#countUnseen(this.#unseen + fresh.filter(isVisible).length);
		this.#countShown();
		this.#announce(fresh.filter(isVisible));
	}

	#remove(gone: HTMLElement): void {
		// Removing a focused line would move the focus to the beginning of the page.
		if (gone.contains(document.activeElement)) this.#list.focus({ preventScroll: true });
		gone.remove();
	}

	#setPaused(isPaused: boolean): void {
		this.#isPaused = isPaused;
		this.#held = this.#waiting.items.length;
		this.#pause.setAttribute('aria-pressed', String(isPaused));
		this.#pause.textContent = isPaused ? 'Resume' : 'Pause';
		if (!isPaused) this.#show();
	}

	#scrolled(): void {
		const { scrollHeight, scrollTop, clientHeight } = this.#list;
		// Upwards the least step counts: a touchpad takes many, and each would be undone by the next message.
		this.#isAtEnd = scrollHeight - scrollTop - clientHeight < (scrollTop < this.#top ? 1 : endPixels);
		this.#top = scrollTop;
		if (this.#isAtEnd) this.#countUnseen(0);
	}

	#toEnd(): void {
		this.#isAtEnd = true;
		this.#list.scrollTop = this.#list.scrollHeight;
		this.#top = this.#list.scrollTop;
		this.#countUnseen(0);
	}

	#countUnseen(unseen: number): void {
		this.#unseen = unseen;
		this.#newer.hidden = unseen === 0;
		this.#newer.textContent = `${unseen.toLocaleString()} new ↓`;
	}

	#filterAll(): void {
		const wanted = this.#filter.value.toLowerCase();
		for (const line of this.#lines.items) line.element.hidden = !matches(line, wanted);
		this.#countShown();
		if (this.#isAtEnd) this.#toEnd();
		// There may be nothing left to scroll, of which no event tells.
		else this.#scrolled();
	}

	#countShown(): void {
		const isFiltered = this.#filter.value !== '';
		const shown = isFiltered ? this.#lines.items.filter(isVisible).length : 0;
		this.#shown.textContent = isFiltered ? `${shown} of ${this.#lines.items.length}` : '';
	}

	/** Up, down, Home and End go from message to message; Tab goes on to what can be done with it. */
	#keyPressed(event: KeyboardEvent): void {
		const visible = this.#lines.items.filter(isVisible);
		const current = visible.findIndex(({ element: item }) => item.contains(document.activeElement));
		const target = {
			ArrowUp: current === -1 ? visible.length - 1 : Math.max(0, current - 1),
			ArrowDown: current === -1 ? 0 : Math.min(visible.length - 1, current + 1),
			Home: 0,
			End: visible.length - 1,
		}[event.key];
		const line = target === undefined ? undefined : visible[target];
		if (line === undefined) return;
		event.preventDefault();
		line.element.focus();
	}

	/** Tells a screen reader what came, the last in full, the rest as a number, and not more often than can be listened to. */
	#announce(fresh: readonly Line[]): void {
		this.#announced += fresh.length;
		if (this.#announcing !== undefined || this.#announced === 0) return;
		this.#announcing = window.setTimeout(() => {
			this.#announcing = undefined;
			const last = this.#lines.items.findLast(isVisible);
			const more = this.#announced - 1;
			this.#announced = 0;
			if (last === undefined || more < 0) return;
			byId('announced').textContent = `${beginning(last.body.textContent, 200)}${more > 0 ? ` and ${more} before it` : ''}`;
		}, announceMs);
	}
}
