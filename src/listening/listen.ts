// The public listener: listens where --addr says, can stop accepting for a while, and leaves no socket file behind.
import type { App, Engine, ListenSocket } from '../engine.js';
import { type Address, bindable, listenError, whyNotListening } from './addresses.js';
import { checkSocketPath, ownSocketFile } from './unix-socket.js';

export type Listener = {
	/** Where it listens, with the real port. */
	readonly address: Address;
	/** Refuses new connections, also those that wait to be accepted. */
	pause(): void;
	/** Listens at the same address again. False if that cannot be had now. */
	resume(): boolean;
	/** Stops for good. */
	stop(): void;
};

/** Listens at that address. Throws a StartError if that cannot be, with nothing deleted. */
export async function listen(engine: Engine, app: App, addr: Address, addrMode: number): Promise<Listener> {
	if ('path' in addr) {
		await checkSocketPath(addr.path);
		const socket = engine.listenOnPath(app, addr.path);
		if (!socket) throw listenError('--addr', addr, await whyNotListening(addr));
		let file = ownSocketFile(addr.path, addrMode);
		const resume = () => {
			// Another server may have replaced the file: a paused listener's file looks like one that a killed server left behind.
			const again = !file.isReplaced() && engine.listenOnPath(app, addr.path);
			if (again) file = ownSocketFile(addr.path, addrMode);
			return again;
		};
		return { address: addr, ...listener(engine, socket, resume, () => file.remove()) };
	}
	const { host, port: askedPort } = await bindable('--addr', addr);
	const socket = engine.listen(app, host, askedPort);
	if (!socket) throw listenError('--addr', { host, port: askedPort }, await whyNotListening({ host, port: askedPort }));
	const port = engine.localPort(socket);
	return {
		address: { host, port },
		...listener(
			engine,
			socket,
			() => engine.listen(app, host, port),
			() => {},
		),
	};
}

function listener(engine: Engine, first: ListenSocket, listenAgain: () => ListenSocket | false, removeFile: () => void) {
	let socket: ListenSocket | false = first;
	const pause = () => {
		// The engine must be told once for each socket.
		if (socket) engine.stopListening(socket);
		socket = false;
	};
	const resume = () => {
		socket = listenAgain();
		return socket !== false;
	};
	const stop = () => {
		pause();
		removeFile();
	};
	return { pause, resume, stop };
}
