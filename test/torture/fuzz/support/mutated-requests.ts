// Changes to requests and to the chunks of their bodies, in place.
import type { Random } from '../../../support/random.js';
import { pick, times, upTo } from './choices.js';
import { methods, names, sizes, targets, values, versions } from './hostile-words.js';
import { mutateBytes } from './mutated-bytes.js';
import type { Request } from './wire.js';

export function mutateRequest(random: Random, request: Request): void {
	const { fields } = request;
	const at = random.below(fields.length);
	const field = fields[at] ?? ['X', 'y'];
	switch (random.below(12)) {
		case 0:
			fields.splice(at, 1);
			break;
		case 1:
			fields.splice(random.below(fields.length + 1), 0, [...field]);
			break;
		case 2:
			field[0] = pick(random, names);
			break;
		case 3:
			field[1] = pick(random, values);
			break;
		case 4:
			fields.splice(at, 0, [pick(random, names), pick(random, values)]);
			break;
		case 5:
			fields.push(...times(upTo(random, 150), (i): [string, string] => [`X-${i}`, 'y']));
			break;
		case 6:
			lieAboutLength(random, request);
			break;
		case 7:
			request.method = pick(random, methods);
			break;
		case 8:
			request.target = pick(random, targets);
			break;
		case 9:
			request.version = pick(random, versions);
			break;
		case 10:
			request.lineEnd = pick(random, ['\n', '\r', '\r\r\n', '\r\n ']);
			break;
		default:
			field[1] = mutateBytes(random, Buffer.from(field[1], 'latin1')).toString('latin1');
	}
}

function lieAboutLength(random: Random, request: Request): void {
	const { length } = request.body;
	const lie = pick(random, [length + 1, length - 1, 0, length * 2, length + 100, 65_536, 65_537, 2 ** 31, 2 ** 32, 2 ** 53]);
	const field = request.fields.find(([name]) => name === 'Content-Length');
	if (field === undefined) request.fields.push(['Content-Length', String(lie)]);
	else field[1] = String(lie);
}

export function mutateChunks(random: Random, request: Request): void {
	request.chunks ??= [{ size: '0', bytes: Buffer.alloc(0) }];
	const { chunks } = request;
	const at = random.below(chunks.length);
	const chunk = chunks[at];
	if (chunk === undefined) return;
	const { length } = chunk.bytes;
	switch (random.below(6)) {
		case 0:
			chunk.size = pick(random, sizes);
			break;
		case 1:
			chunk.size = Math.max(0, length + pick(random, [-2, -1, 1, 2, 100, 65_536])).toString(16);
			break;
		case 2:
			chunks.splice(at, 1);
			break;
		case 3:
			chunks.splice(at, 0, ...times(upTo(random, 3), () => ({ ...chunk })));
			break;
		case 4:
			chunks.reverse();
			break;
		default:
			chunk.bytes = mutateBytes(random, chunk.bytes);
	}
}
