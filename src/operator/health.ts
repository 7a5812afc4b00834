// Endpoints for machines: metrics, health and readiness.

import type { Exposition } from '../observe/metrics.js';
import { type Endpoint, text } from './endpoint.js';

export type HealthParts = {
	readonly exposition: Exposition;
	/** In words; undefined while it accepts connections. */
	readonly whyNotReady: () => string | undefined;
};

export function healthEndpoints({ exposition, whyNotReady }: HealthParts): Endpoint[] {
	const forMachines = { methods: ['GET'], allowsAnyHost: true };
	return [
		{
			...forMachines,
			path: '/metrics',
			help: 'all figures, for Prometheus',
			answer: async () => ({ status: 200, body: await exposition.expose(), type: exposition.contentType }),
		},
		{ ...forMachines, path: '/healthz', help: '200 while the process is alive', answer: () => text(200, 'OK') },
		{
			...forMachines,
			path: '/readyz',
			help: '200 while it accepts connections, 503 while it stops, is over --memory-budget, or misses a server of --relay',
			answer: () => {
				const why = whyNotReady();
				return why === undefined ? text(200, 'OK') : text(503, why);
			},
		},
	];
}
