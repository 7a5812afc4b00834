// The server under test, as a process of its own, with subscribers beside the inputs. Checks the server when the other clients have gone.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { becomes } from '../../../relay/support/becomes.js';
import { type Command, runCommand } from '../../../support/command.js';
import { request } from '../../../support/http.js';
import { descriptorsOf, type Memory, memoryReader, memoryReporting } from '../../../support/process.js';
import type { Subscriber } from '../../../support/subscriber.js';
import { tlsFlags } from '../../../support/tls.js';
import { channels, type Promised } from './conversation.js';
import { asSeen, type Onlooker, openOnlookers, openPublisher, type Seen } from './onlookers.js';

export type Setting = {
	readonly flags?: readonly string[];
	readonly isTls?: boolean;
	readonly hasGroups?: boolean;
	/** Inputs go to the operator's listener. They may close channels, so nobody looks on there. */
	readonly toOperator?: boolean;
	/** Descriptors that the server has for its own reasons, as those of the service that it asks. */
	readonly otherDescriptors?: () => number;
};

export type Figures = { readonly opened: number; readonly published: number; readonly refused: number };

const innocentPath = '/innocent';
// Only a hopeless wait takes so long.
const settleMsMax = 60_000;
// A process that is seen to end soon has.
const exitMsMax = 1_000;

export class Target {
	readonly #command: Command;
	readonly #address: { readonly port: number; readonly isTls: boolean };
	readonly #operatorPort: number;
	readonly #setting: Setting;
	readonly #descriptorsAtStart: number;
	readonly #innocents: Onlooker[] = [];
	readonly #watchers: Onlooker[] = [];
	readonly #publishers = new Map<string, Subscriber>();
	#numbers = 0;
	readonly #readMemory: () => Promise<Memory>;
	#ends = 0;

	private constructor(command: Command, port: number, operatorPort: number, setting: Setting) {
		this.#command = command;
		this.#address = { port, isTls: setting.isTls ?? false };
		this.#operatorPort = operatorPort;
		this.#setting = setting;
		this.#readMemory = memoryReader(command);
		this.#descriptorsAtStart = descriptorsOf(this.#pid).length;
	}

	static async start(t: TestContext, setting: Setting): Promise<Target> {
		const { flags = [], isTls = false, hasGroups = false, toOperator = false } = setting;
		const all = [
			'--addr',
			'127.0.0.1:0',
			'--mport',
			'0',
			...flags,
			...(isTls ? tlsFlags : []),
			...(hasGroups ? ['--groups'] : []),
		];
		const command = runCommand(t, all, memoryReporting);
		const target = new Target(command, await command.port(), await command.operatorPort(), setting);
		const watched = toOperator ? [] : channels;
		for (const path of [innocentPath, ...watched]) {
			target.#publishers.set(path, await openPublisher(t, target.#address, encodeURI(path)));
			const onlookers = await openOnlookers(t, target.#address, path, hasGroups);
			(path === innocentPath ? target.#innocents : target.#watchers).push(...onlookers);
		}
		return target;
	}

	/** A connection of a client, which may not be there yet. */
	connect(): Socket {
		if (this.#setting.toOperator) return connect(this.#operatorPort, '127.0.0.1');
		const { port, isTls } = this.#address;
		return isTls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1');
	}

	/** A connection without TLS of its own. */
	connectPlainly(): Socket {
		return connect(this.#address.port, '127.0.0.1');
	}

	/** Publishes the next number to the innocent subscribers. */
	count(): void {
		this.#publishers.get(innocentPath)?.send(String(this.#numbers++));
	}

	/**
	 * Rejects unless the server is the same process and answers; has closed everything that others opened; has logged no error; has
	 * brought every number to each innocent subscriber, in order and nothing else; and the same whole messages to all watchers of a
	 * channel, what was promised among them.
	 */
	async settle(promised: readonly (readonly Promised[])[]): Promise<Figures> {
		const gone = this.#command.ended.then(({ code, signal, stderr, stdout }) => {
			throw new Error(`the server ended with ${code ?? signal}: ${stderr}${stdout.slice(-2_000)}`);
		});
		let patience: NodeJS.Timeout | undefined;
		let awaited = 'its descriptors';
		const late = new Promise<never>((_, reject) => {
			patience = setTimeout(() => reject(new Error(`in vain was waited for ${awaited}; ${this.#leftOver()}`)), settleMsMax);
		});
		const settled = async () => {
			await becomes(() => descriptorsOf(this.#pid).length === this.#descriptorsExpected);
			awaited = 'its metrics';
			const figures = await this.#figures();
			awaited = 'messages';
			await this.#checkMessages(promised);
			this.#checkOutput();
			return figures;
		};
		try {
			return await Promise.race([settled(), gone, late]);
		} catch (error) {
			// If the server has ended, that is the reason.
			await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, exitMsMax))]);
			throw error;
		} finally {
			clearTimeout(patience);
		}
	}

	memory(): Promise<Memory> {
		return this.#readMemory();
	}

	get #pid(): number {
		return this.#command.child.pid ?? 0;
	}

	get #open(): number {
		return this.#publishers.size + this.#innocents.length + this.#watchers.length;
	}

	get #descriptorsExpected(): number {
		return this.#descriptorsAtStart + this.#open + (this.#setting.otherDescriptors?.() ?? 0);
	}

	#leftOver(): string {
		const descriptors = descriptorsOf(this.#pid);
		return `${descriptors.length} descriptors in place of ${this.#descriptorsExpected}: ${descriptors.join(', ')}`;
	}

	async #figures(): Promise<Figures> {
		const { body } = await request(this.#operatorPort, { path: '/metrics' });
		const sum = (name: string) => {
			const lines = body.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
			return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
		};
		const opened = sum('pathcast_connections_opened_total');
		assert.equal(opened - sum('pathcast_disconnects_total'), this.#open, 'opens less closes');
		assert.equal(sum('pathcast_connections'), this.#open, 'connections');
		assert.equal(sum('pathcast_subscribers'), this.#open, 'subscribers');
		assert.equal(sum('pathcast_channels'), this.#publishers.size, 'channels');
		assert.equal(sum('pathcast_sessions'), 0, 'sessions');
		return { opened, published: sum('pathcast_messages_received_total'), refused: sum('pathcast_refusals_total') };
	}

	async #checkMessages(promised: readonly (readonly Promised[])[]): Promise<void> {
		const end = `end ${this.#ends++}`;
		for (const publisher of this.#publishers.values()) publisher.send(end);
		const all = await Promise.all(
			[...this.#innocents, ...this.#watchers].map(async (onlooker) => ({ ...onlooker, texts: await textsUntil(onlooker, end) })),
		);
		const numbers = Array.from({ length: this.#numbers }, (_, i) => String(i));
		this.#numbers = 0;
		for (const { kind, path, texts } of all.slice(0, this.#innocents.length))
			assert.deepEqual(texts, numbers, `${kind} of ${path}`);
		for (const channel of channels) {
			const [first, ...others] = all.filter(({ path }) => path === channel);
			for (const other of others) assert.deepEqual(other.texts, first?.texts, `${other.kind} and ${first?.kind} of ${channel}`);
			const places = new Map(first?.texts.map((text, i) => [text, i]));
			for (const ofOneInput of promised) {
				const texts = ofOneInput.filter((one) => one.channel === channel).map(({ text }) => asSeen(text));
				const found = texts.map(
					(text) => places.get(text) ?? assert.fail(`this did not come to ${channel}: ${JSON.stringify(text)}`),
				);
				assert.deepEqual(
					found,
					found.toSorted((one, other) => one - other),
					`the order of ${JSON.stringify(texts)}`,
				);
			}
		}
	}

	/** Standard error is empty, and no line of the log tells of a fault. */
	#checkOutput(): void {
		assert.equal(this.#command.stderr, '');
		const lines = this.#command.stdout.split('\n').slice(0, -1);
		for (const line of lines) {
			const { level = 'info', event } = JSON.parse(line);
			assert.ok(level !== 'error' && level !== 'fatal' && event !== 'fault' && !line.includes('    at '), line);
		}
	}
}

async function textsUntil(onlooker: Onlooker, end: Seen): Promise<Seen[]> {
	const texts: Seen[] = [];
	for (let text = await onlooker.next(); text !== end; text = await onlooker.next()) texts.push(text);
	return texts;
}
