// pathcast with a service that allows everything, in a process of its own, whose CPU time does not count. Arguments: those of pathcast, its
// command first.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const service = `
	const server = require('node:http').createServer((_, res) => res.writeHead(204).end());
	server.listen(0, '127.0.0.1', () => process.send(server.address().port));
	process.on('disconnect', () => process.exit());
`;

const [command = '', ...flags] = process.argv.slice(2);
// In a process group of its own: what is measured is the group of pathcast.
const child = spawn(process.execPath, ['-e', service], { detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
const [port] = await once(child, 'message');
child.channel?.unref();
child.unref();
process.argv = [process.execPath, command, ...flags, '--auth', `http://127.0.0.1:${port}/`];
await import(command);
