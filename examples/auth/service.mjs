// An authorisation service for pathcast --auth http://localhost:8090/: admits users, and leads /me/… to the channels of the user.
import { createServer } from 'node:http';

// An application has a table of its own: which token belongs to which user.
const users = new Map([
	['a1b2c3', 157],
	['d4e5f6', 158],
]);

const service = createServer(({ headers }, res) => {
	const refuse = (status, line, fields = {}) => res.writeHead(status, fields).end(`${line}\n`);
	const user = users.get(tokenIn(headers));
	if (user === undefined) return refuse(401, 'Log in first.', { 'WWW-Authenticate': 'Bearer' });
	// As the client wrote it, percent-encoded. No URL parser: it would resolve `..`, and pathcast does not.
	const [path] = headers['x-original-uri'].split('?');
	const [, room, channel] = /^\/(me|room)(\/.+)$/.exec(path) ?? [];
	if (room === 'me') return res.writeHead(204, { 'X-Rewrite': `/user/${user}${channel}` }).end();
	if (room === 'room') return res.writeHead(204).end();
	// Whatever is not allowed is forbidden: /user/158/inbox, and /%75ser/158/inbox, which is the same channel.
	return refuse(403, 'The channels for you are below /me and /room.');
});

/** The token of a browser's cookie, or of a client that sends `Authorization: Bearer`. */
function tokenIn({ cookie = '', authorization = '' }) {
	const [, token] = /^Bearer (\S+)$/.exec(authorization) ?? /(?:^|; )session=([^;]*)/.exec(cookie) ?? [];
	return token;
}

service.listen(process.argv[2] ?? 8090, 'localhost', () => console.log(`listens on port ${service.address().port}`));
