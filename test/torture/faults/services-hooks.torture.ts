// A publish hook that fails, a service whose name stops resolving, and bodies that flood the operator's listener.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { anyPort, cliPath, runProgram } from '../../support/command.js';
import { answerTo, askedDoors, openStatus } from '../../support/doors.js';
import { post, request } from '../../support/http.js';
import { peakBytes } from '../../support/process.js';
import { seededRandom } from '../../support/random.js';
import { allow, answering, type Script, startService, writing } from '../../support/service.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { builtServer, onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';
import { needsOwnMounts, ownMounts } from './support/own-mounts.js';

const failures: readonly Script[] = [
	({ socket }) => socket.destroy(),
	({ socket }) => socket.resetAndDestroy(),
	answering(500),
	writing('SSH-2.0-OpenSSH_9.2p1\r\n'),
	writing('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nHel', 'close'),
	writing('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n'),
];

type Judgement = 'published' | 'replaced' | 'dropped' | 'refused' | 'failed';
const judgements: readonly Judgement[] = ['published', 'replaced', 'dropped', 'refused', 'failed'];
const statusOf: Record<Judgement, number> = { published: 200, replaced: 200, dropped: 200, refused: 403, failed: 502 };

fault(
	'a publish hook that publishes, replaces, drops, refuses, and fails, by turns, under load',
	'Each message is published as it was judged, and a message without a usable answer is refused with 502 and goes nowhere.',
	async (t) => {
		const random = seededRandom(t);
		const judged = new Map<string, Judgement>();
		const service = await startService(t, async (question) => {
			const body = await question.text();
			if (question.field('X-Channel')?.startsWith('/bystander')) return allow(question);
			// A message may come again on another connection, if the first has ended.
			const judgement = judgements[random.below(judgements.length)] ?? 'failed';
			judged.set(body, judgement);
			if (judgement === 'failed') failures[random.below(failures.length)]?.(question);
			else if (judgement === 'replaced') question.answer(200, [], `instead of ${body}`);
			else question.answer({ published: 204, dropped: 304, refused: 403 }[judgement]);
		});
		const server = await startBuilt(t, ['--publish-hook', service.url, '--auth-timeout', '1s']);
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const subscriber = await subscribe(t, server.ws('/judged'));
		const each = inForm(50, 500);
		await Promise.all(
			Array.from({ length: 8 }, async (_, publisher) => {
				for (let i = 0; i < each; i++) {
					const body = `${publisher} ${i}`;
					const { status } = await post(server.port, '/judged', body);
					assert.equal(status, statusOf[judged.get(body) ?? 'failed'], `${body} ${judged.get(body)}`);
				}
			}),
		);
		const expected = [...judged].flatMap(([body, judgement]) => {
			if (judgement === 'published') return [body];
			return judgement === 'replaced' ? [`instead of ${body}`] : [];
		});
		const got = await subscriber.texts(expected.length);
		assert.deepEqual([...got].sort(), expected.sort());
		await subscriber.close();
		const innocent = await bystanders.stop();
		service.hangUp();
		await server.descriptorsComeBackTo(before);
		server.assertNoErrors();
		const counts = judgements.map((name) => `${[...judged.values()].filter((each) => each === name).length} ${name}`);
		return `${counts.join(', ')}; ${got.length} arrived as judged; ${innocent}`;
	},
	onLinux,
);

fault(
	'the name of the authorisation service stops resolving, and resolves again',
	'Clients get 502 meanwhile, and get in when the name is there again. The present subscribers notice nothing.',
	async (t) => {
		const service = await startService(t, allow);
		const name = 'auth.pathcast.invalid';
		const folder = temporaryFolder(t);
		const hosts = `${folder}/hosts`;
		// No name server of this machine is asked, which might not answer for long.
		writeFileSync(`${folder}/nsswitch.conf`, 'hosts: files\n');
		const isKnown = (known: boolean) => writeFileSync(hosts, known ? `127.0.0.1 ${name}\n` : '');
		isKnown(true);
		// The server alone sees these files in place of the system's.
		const line = `mount --bind ${hosts} /etc/hosts && mount --bind ${folder}/nsswitch.conf /etc/nsswitch.conf && exec "$0" "$@"`;
		const url = service.url.replace('127.0.0.1', name);
		const args = [...ownMounts, line, process.execPath, cliPath, ...anyPort, '--auth', url, '--auth-timeout', '2s'];
		const server = await builtServer(runProgram(t, 'unshare', args));
		const bystanders = await startBystanders(t, server);
		const statuses = () => Promise.all(askedDoors.map(async (door) => (await answerTo(server.port, door)).status));
		const open = askedDoors.map((door) => openStatus[door]);
		const times = inForm(2, 10);
		for (let i = 0; i < times; i++) {
			assert.deepEqual(await statuses(), open);
			isKnown(false);
			// A connection that is open needs no name any more.
			service.hangUp();
			assert.deepEqual(await statuses(), [502, 502, 502]);
			isKnown(true);
		}
		assert.deepEqual(await statuses(), open);
		const innocent = await bystanders.stop();
		server.assertNoErrors();
		await server.stop();
		return `${times} times gone: ${3 * times} got 502, ${3 * (times + 1)} got in; ${innocent}`;
	},
	needsOwnMounts(),
);

/** Sends a request with a body that does not end, until the server closes or this many bytes are out. Gives the status, if there is one. */
function sendMuch(port: number, path: string, framing: string, bytes: number): Promise<string> {
	return new Promise((resolve) => {
		const socket = connect(port, '127.0.0.1');
		let answer = '';
		let sent = 0;
		const piece = Buffer.from(framing.startsWith('Transfer') ? `10000\r\n${'x'.repeat(65_536)}\r\n` : 'x'.repeat(65_536));
		const more = () => {
			while (sent < bytes && !socket.destroyed) {
				sent += piece.length;
				if (!socket.write(piece)) return void socket.once('drain', more);
			}
			socket.end();
		};
		socket.on('data', (data) => {
			answer += data;
		});
		socket.on('error', () => {});
		socket.on('close', () => resolve(answer.slice(9, 12)));
		socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-Session: alice\r\n${framing}\r\n\r\n`, more);
	});
}

fault(
	"bodies of 64 MB to `/send`, `/close`, `/channels/…` and `/drain` of the operator's listener",
	'They are refused with 413 (`/drain`: 400) or cut, nothing is kept of them, and messages flow meanwhile.',
	async (t) => {
		const server = await startBuilt(t);
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const peakBefore = peakBytes(server.pid);
		const bytes = 64 * 1_048_576;
		const framings = ['Transfer-Encoding: chunked', `Content-Length: ${bytes}`];
		const paths = ['/send', '/close', '/channels/room', '/drain?over=1s'];
		const rounds = inForm(1, 5);
		const outcomes = new Map<string, number>();
		for (let i = 0; i < rounds; i++) {
			const all = paths.flatMap((path) => framings.map((framing) => sendMuch(server.operatorPort, path, framing, bytes)));
			for (const status of await Promise.all(all)) outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
		}
		assert.ok(
			[...outcomes.keys()].every((status) => ['413', '400', ''].includes(status)),
			JSON.stringify([...outcomes]),
		);
		const grown = peakBytes(server.pid) - peakBefore;
		// A quarter of what was sent.
		assert.ok(grown < (paths.length * framings.length * bytes) / 4, `${grown} bytes`);
		await server.descriptorsComeBackTo(before);
		assert.equal((await request(server.operatorPort, { path: '/readyz' })).status, 200);
		const innocent = await bystanders.stop();
		server.assertNoErrors();
		await server.stop();
		const told = [...outcomes].map(([status, count]) => `${count} ${status === '' ? 'cut' : `got ${status}`}`);
		return `${told.join(', ')}; ${Math.round(grown / 1_048_576)} MiB more; ${innocent}`;
	},
	onLinux,
);
