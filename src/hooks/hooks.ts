// Builds the hooks that the options ask for.
import type { Events } from '../observe/events.js';
import { Authorisation } from './authorisation.js';
import { Gate, waitingMax } from './gate.js';
import { PublishHook, type PublishHookParts } from './publish-hook.js';
import { connectService } from './service.js';

export type HookOptions = {
	readonly auth: URL | undefined;
	readonly publishHook: URL | undefined;
	/** In seconds. */
	readonly authTimeout: number;
	readonly authConcurrency: number;
	readonly sessionHeader: string;
	readonly maxMessage: number;
	readonly maxBacklog: number;
	readonly maxPath: number;
};

export type Hooks = {
	/** Undefined without --auth. */
	readonly authorisation: Authorisation | undefined;
	/** Undefined without --publish-hook. */
	readonly publishHook: PublishHook | undefined;
	/** How many connections to services there may be. */
	readonly connectionsMax: number;
	/** Ends all connections to the services. */
	readonly close: () => void;
};

/** Without a hook in the options, nothing is loaded and nothing is paid. */
export async function connectHooks(
	options: HookOptions,
	events: Pick<Events, 'questioned' | 'judged'>,
	{ endpoint, inFlight }: Pick<PublishHookParts, 'endpoint' | 'inFlight'>,
): Promise<Hooks> {
	const { auth, publishHook, authConcurrency } = options;
	const patienceMs = options.authTimeout * 1_000;
	const authService = auth && (await connectService(auth, authConcurrency, patienceMs));
	const hookService = publishHook && (await connectService(publishHook, authConcurrency, patienceMs));
	const gate = new Gate(authConcurrency, waitingMax);
	const common = { ...options, endpoint, inFlight, atOnceMax: authConcurrency };
	return {
		authorisation: authService && new Authorisation({ ...common, service: authService, gate, onEnd: events.questioned }),
		publishHook: hookService && new PublishHook({ ...common, service: hookService, onJudged: events.judged }),
		connectionsMax: authConcurrency * [authService, hookService].filter((service) => service !== undefined).length,
		close() {
			authService?.close();
			hookService?.close();
		},
	};
}
