// How many messages come: in the last second, in the last minute as a chart, and in all; and the round trip of the page's own last one.
import { byId } from './element.js';
import { byteFigure } from './message-text.js';

const secondsShown = 60;
const roundTripsMax = 1_000;

export class Figures {
	readonly #chart = byId<HTMLCanvasElement>('chart');
	#perSecond: number[] = new Array(secondsShown).fill(0);
	#messages = 0;
	#bytes = 0;
	#total = 0;
	/** Own messages that have not come back, in the order that they were sent in, which is the one that they come back in. */
	#sent: { readonly text: string; readonly ms: number }[] = [];

	constructor() {
		setInterval(() => this.#second(), 1_000);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
		new ResizeObserver(() => this.#draw()).observe(this.#chart);
	}

	sent(text: string): void {
		// Half a pair of surrogates is sent as U+FFFD, and comes back so.
		this.#sent.push({ text: text.replace(/[\ud800-\udfff]/gu, '\ufffd'), ms: performance.now() });
		if (this.#sent.length > roundTripsMax) this.#sent.shift();
	}

	/** Counts a message that has come, and tells whether it is the oldest of the page's own that had not come back. */
	received(content: string | Uint8Array, bytes: number): boolean {
		this.#messages++;
		this.#bytes += bytes;
		this.#total++;
		const [oldest] = this.#sent;
		if (oldest === undefined || oldest.text !== content) return false;
		this.#sent.shift();
		const ms = performance.now() - oldest.ms;
		byId('round-trip').textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString()} ms`;
		return true;
	}

	/** Forgets own messages that will not come back. */
	disconnected(): void {
		this.#sent = [];
	}

	/** Starts again from zero, on another channel. */
	clear(): void {
		this.#sent = [];
		this.#messages = 0;
		this.#bytes = 0;
		this.#perSecond.fill(0);
		this.#total = 0;
		byId('round-trip').textContent = '–';
		this.#second();
	}

	#second(): void {
		this.#perSecond = [...this.#perSecond.slice(1), this.#messages];
		byId('message-rate').textContent = this.#messages.toLocaleString();
		byId('byte-rate').textContent = byteFigure(this.#bytes);
		byId('total').textContent = this.#total.toLocaleString();
		this.#messages = 0;
		this.#bytes = 0;
		this.#draw();
	}

	#draw(): void {
		const context = this.#chart.getContext('2d');
		if (context === null) return;
		const scale = devicePixelRatio;
		const { clientWidth, clientHeight } = this.#chart;
		this.#chart.width = clientWidth * scale;
		this.#chart.height = clientHeight * scale;
		context.scale(scale, scale);
		context.fillStyle = getComputedStyle(this.#chart).color;
		const most = Math.max(...this.#perSecond, 1);
		const step = clientWidth / secondsShown;
		for (const [second, messages] of this.#perSecond.entries()) {
			// A line along the bottom where nothing came.
			const height = Math.max(1, (messages / most) * (clientHeight - 2));
			context.globalAlpha = messages === 0 ? 0.35 : 1;
			context.fillRect(second * step + 0.5, clientHeight - height, Math.max(1, step - 1), height);
		}
	}
}
