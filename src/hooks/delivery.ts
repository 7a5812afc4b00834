// One POST that must arrive: it is repeated, after longer and longer waits, until the service accepts it.
import type { NoAnswer, Service, ServiceAnswer, ServiceRequest } from './service.js';

export type Retrying = {
	/** How long each attempt may take. */
	readonly timeoutMs: number;
	/** The wait before each retry, give or take a quarter. There are as many retries as waits. */
	readonly waitsMs: readonly number[];
};

/** The three retries outlast a restart of the service. More would hold up what comes after them. */
export const threeRetries: Retrying = { timeoutMs: 5_000, waitsMs: [500, 1_000, 2_000] };

export type Delivery = Pick<ServiceRequest, 'headers' | 'body'>;

// Only the status counts. A body of up to this size is read, so that the connection can be used again.
const answerBytesMax = 65_536;

/**
 * POSTs until the answer is any 2xx, or no retry is left. Calls `done` with undefined, or with the reason of the last failure, unless it is
 * cancelled by the function that this gives.
 */
export function deliver(
	service: Service,
	delivery: Delivery,
	{ timeoutMs, waitsMs }: Retrying,
	done: (failure: string | undefined) => void,
): () => void {
	let isCancelled = false;
	let stop = () => {};

	function attempt(retries: number): void {
		if (isCancelled) return;
		const deadlineMs = performance.now() + timeoutMs;
		stop = service.ask({ method: 'POST', ...delivery, deadlineMs, bodyBytesMax: answerBytesMax }, (answer) => {
			const failure = failureOf(answer);
			const waitMs = waitsMs[retries];
			if (failure === undefined || waitMs === undefined) {
				done(failure);
				return;
			}
			const timer = setTimeout(attempt, withJitter(waitMs), retries + 1);
			stop = () => clearTimeout(timer);
		});
	}

	attempt(0);
	return () => {
		isCancelled = true;
		stop();
	};
}

function failureOf(answer: ServiceAnswer | NoAnswer): string | undefined {
	if ('failure' in answer) return answer.detail;
	return answer.status >= 200 && answer.status < 300 ? undefined : `the answer was ${answer.status}`;
}

/** So that many servers do not return to a service at the same moment. */
function withJitter(waitMs: number): number {
	return waitMs * (0.75 + Math.random() / 2);
}
