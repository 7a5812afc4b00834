// Between two moments: wall-clock time, the server's CPU time, this process's CPU time, and an amount.
import type { Latency, Measurement, Target } from './job.js';
import { cpuSeconds } from './proc.js';

export class Stopwatch {
	readonly #pids: readonly number[];
	readonly #relayPids: readonly number[] | undefined;
	readonly #startMs: number;
	readonly #serverCpu: number;
	readonly #relayCpu: number;
	readonly #ownCpu: NodeJS.CpuUsage;

	constructor({ pids, relay }: Pick<Target, 'pids' | 'relay'>) {
		this.#pids = pids;
		this.#relayPids = relay && [relay.pid];
		this.#serverCpu = cpuSeconds(pids);
		this.#relayCpu = cpuSeconds(this.#relayPids ?? []);
		this.#ownCpu = process.cpuUsage();
		this.#startMs = performance.now();
	}

	stop(amount: number, latency?: Latency): Measurement {
		const wallSeconds = (performance.now() - this.#startMs) / 1_000;
		const { user, system } = process.cpuUsage(this.#ownCpu);
		return {
			amount,
			wallSeconds,
			serverCpuSeconds: cpuSeconds(this.#pids) - this.#serverCpu,
			loadCpuShare: (user + system) / 1e6 / wallSeconds,
			...(latency !== undefined && { latency }),
			...(this.#relayPids !== undefined && { relayCpuSeconds: cpuSeconds(this.#relayPids) - this.#relayCpu }),
		};
	}
}

/** Latencies in milliseconds, all of them kept, so that the percentiles are exact. */
export class Samples {
	#values = new Float64Array(65_536);
	#count = 0;

	add(milliseconds: number): void {
		if (this.#count === this.#values.length) {
			const grown = new Float64Array(2 * this.#count);
			grown.set(this.#values);
			this.#values = grown;
		}
		this.#values[this.#count++] = milliseconds;
	}

	clear(): void {
		this.#count = 0;
	}

	percentiles(): Latency {
		const sorted = this.#values.subarray(0, this.#count).sort();
		const at = (share: number) => sorted[Math.min(this.#count - 1, Math.floor(share * this.#count))] ?? Number.NaN;
		return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
	}
}
