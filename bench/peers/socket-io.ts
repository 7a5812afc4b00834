// Socket.IO over websockets alone, with its adapter for the sharded pub/sub of Redis, as its documentation writes it: a room per path. A message goes to the
// sockets of this server at once, and over Redis to those of the others. Arguments: port, the URL of Redis.
import { createServer } from 'node:http';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

const [port, redis = ''] = process.argv.slice(2);
const publishing = new Redis(redis);
const subscribing = publishing.duplicate();
const http = createServer();
const server = new Server(http, {
	transports: ['websocket'],
	serveClient: false,
	adapter: createShardedAdapter(publishing, subscribing),
});

server.on('connection', (socket) => {
	const { room } = socket.handshake.query;
	if (typeof room !== 'string') return;
	void socket.join(room);
	socket.on('m', (text: string) => server.to(room).emit('m', text));
});

http.listen(Number(port), '127.0.0.1');
