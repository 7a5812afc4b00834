// Loaded before a server (node --import): hides the newer engine and an official release, so that the older one serves.
import Module from 'node:module';

type Resolve = (name: string, ...rest: unknown[]) => string;
const loader = Module as unknown as { _resolveFilename: Resolve };
const resolve = loader._resolveFilename;
loader._resolveFilename = (name, ...rest) => {
	if (name === 'uws-newer' || name === 'uWebSockets.js') throw new Error(`${name} is hidden`);
	return resolve(name, ...rest);
};
