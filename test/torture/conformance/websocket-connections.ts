// RFC 6455, sections 4, 5.1 and 7: rows that take more than one handshake or one conversation.
import assert from 'node:assert/strict';
import { request } from '../../support/http.js';
import { subscribe } from '../../support/subscriber.js';
import { torture } from '../support/torture.js';
import { answersOf, type Case, handshakeFor, happened, openWebSocket, parseHead, waysWith } from './conversation.js';
import { bytesOf, close, closeFrame, end, frame, tally, text } from './frames.js';
import { thisFile, type Way, type Ways } from './ways.js';

type Thrown = { readonly section: string; readonly thrown: string; readonly promised: string };

/** A row whose check runs once for each way, and gives what happens otherwise than promised, if anything does. */
function byWays(row: Thrown, check: (way: Way, all: Ways) => Promise<string | undefined>): void {
	torture({ ...row, section: `RFC 6455 ${row.section}` }, async () => {
		const all = await waysWith();
		const texts = await Promise.all(all.ways.map((way) => check(way, all)));
		return happened(
			all,
			texts.map((says) => (says === undefined ? undefined : { says, count: 1 })),
			1,
		);
	});
}

export function runConnectionRows(): void {
	byWays(
		{
			section: '4.4',
			thrown: 'a handshake of version 8, then one of version 13 on the same connection',
			promised: 'The first is refused with 426, and the second is answered with 101.',
		},
		async (way) => {
			const wire = await way.open();
			await wire.send(handshakeFor(`/versions/${way.name}`, { 'Sec-WebSocket-Version': '8' }));
			assert.match((await wire.take(parseHead)) ?? '', /^HTTP\/1\.1 426 /);
			await wire.take((bytes) => (bytes.includes('\n') ? { found: true, length: bytes.length } : undefined));
			await wire.send(handshakeFor(`/versions/${way.name}`));
			assert.match((await wire.take(parseHead)) ?? '', /^HTTP\/1\.1 101 /);
			assert.deepEqual(await answersOf(wire, { sends: [frame('text', 'open')] }, 1), [text('open')]);
			await wire.destroy();
			return undefined;
		},
	);

	byWays(
		{
			section: '4.1',
			thrown: 'a text in the same read as the handshake, before its answer, which the RFC forbids to the client',
			promised: 'The websocket opens, and goes on.',
		},
		async (way, { port }) => {
			const path = `/early/${way.name}`;
			const witness = await subscribe(thisFile, `ws://127.0.0.1:${port}${path}`);
			const wire = await way.open();
			await wire.send(Buffer.concat([bytesOf(handshakeFor(path)), frame('text', 'early')]));
			assert.match((await wire.take(parseHead)) ?? '', /^HTTP\/1\.1 101 /);
			const isLost = way.name === 'direct';
			const comes = [...(isLost ? [] : [text('early')]), text('next')];
			assert.deepEqual(await answersOf(wire, { sends: [frame('text', 'next')] }, comes.length), comes);
			assert.deepEqual((await witness.texts(comes.length)).map(text), comes);
			await Promise.all([wire.destroy(), witness.close()]);
			return isLost
				? 'as promised, but the text is lost: the engine drops what comes with the handshake.'
				: 'as promised, and the text is published: the proxy passes it on after the answer.';
		},
	);

	const afterwards: readonly Case['sends'][] = [
		[],
		[closeFrame(1000)],
		[frame('text', 'after')],
		[frame('ping'), frame('text', 'after')],
	];
	byWays(
		{
			section: '7.1.2',
			thrown:
				'a channel that the operator closes with a last message, while the client answers the close frame, or sends nothing, texts or pings',
			promised:
				'The last message, a close frame with 1000 and the end of TCP come, and nothing that the client sends then is published.',
		},
		async (way, { port, operatorPort }) => {
			const path = `/closed/${way.name}`;
			for (const sends of afterwards) {
				const wire = await openWebSocket(way, path);
				const { body } = await request(operatorPort, { method: 'DELETE', path: `/channels${path}`, body: 'last' });
				assert.equal(body, '{"closed":1}\n');
				const comes = [text('last'), close(1000, 'the channel was closed'), end];
				assert.deepEqual(await answersOf(wire, { sends: [] }, 3), comes);
				const later = await subscribe(thisFile, `ws://127.0.0.1:${port}${path}`);
				await wire.send(...sends);
				await wire.destroy();
				later.send('the witness');
				assert.equal(await later.nextText(), 'the witness');
				await later.close();
			}
			return undefined;
		},
	);

	torture(
		{
			section: 'RFC 6455 5.1',
			thrown: 'all the conversations above',
			promised:
				'No frame of the server is masked, is a fragment, has a reserved bit, or tells its length in more bits than it takes.',
		},
		async () => {
			assert.ok(tally.frames > 5_000, `${tally.frames} frames have come back`);
			assert.equal(tally.malformed, 0);
			return `As promised in all ${tally.frames.toLocaleString('en')} frames that came back.`;
		},
	);
}
