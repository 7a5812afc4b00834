// A load process: takes one job, does it, reports, and is gone.
import { runChurn, runConnects, runIdle, runStalled } from './connections.js';
import { runHold } from './hold.js';
import type { Job, Measurement, Report } from './job.js';
import { runTraffic } from './traffic.js';

process.once('message', async (job: Job) => {
	try {
		report({ kind: 'done', measurement: await run(job) });
	} catch (error) {
		report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
	}
});
// Whoever gave the job is gone.
process.once('disconnect', () => process.exit(1));

function run(job: Job): Promise<Measurement> {
	const onMeasuring = () => report({ kind: 'measuring' });
	const { work } = job;
	switch (work.kind) {
		case 'traffic':
			return runTraffic(job, work, onMeasuring);
		case 'connects':
			return runConnects(job, work, onMeasuring);
		case 'churn':
			return runChurn(job, work, onMeasuring);
		case 'idle':
			return runIdle(job, work, onMeasuring);
		case 'hold':
			return runHold(job, work, onMeasuring);
		case 'stalled':
			return runStalled(job, work, onMeasuring);
	}
}

function report(message: Report): void {
	process.send?.(message, () => {
		if (message.kind !== 'measuring') process.exit(0);
	});
}
