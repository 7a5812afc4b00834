// Reads enough of a systemd unit to run it without systemd: its settings, and its commands with specifiers and variables filled in.
import { readFileSync } from 'node:fs';

/** All values of each setting, in their order, whatever the section. */
export type Unit = ReadonlyMap<string, readonly string[]>;

export function readUnit(path: string): Unit {
	const unit = new Map<string, string[]>();
	for (const [, name = '', value = ''] of readFileSync(path, 'utf8').matchAll(/^([A-Z]\w*)=(.*)$/gm)) {
		unit.set(name, [...(unit.get(name) ?? []), value]);
	}
	return unit;
}

/** The last value of a setting, which must be there. */
export function setting(unit: Unit, name: string): string {
	const value = unit.get(name)?.at(-1);
	if (value === undefined) throw new Error(`the unit has no ${name}=`);
	return value;
}

/** The variables that `Environment=` sets. */
export function environmentOf(unit: Unit): Record<string, string> {
	return Object.fromEntries((unit.get('Environment') ?? []).flatMap((line) => line.split(' ').map((pair) => assignment(pair))));
}

/** The assignments of an environment file, and with `isCommented` those that are commented out instead. */
export function readEnvironmentFile(path: string, isCommented = false): Record<string, string> {
	const lines = readFileSync(path, 'utf8').split('\n');
	const pattern = isCommented ? /^#[A-Z_]+=/ : /^[A-Z_]+=/;
	return Object.fromEntries(lines.filter((line) => pattern.test(line)).map((line) => assignment(line.replace('#', ''))));
}

function assignment(pair: string): [string, string] {
	const sign = pair.indexOf('=');
	return [pair.slice(0, sign), pair.slice(sign + 1)];
}

/** A command's words for one instance, with these variables: `%i`, `$NAME` as a word, `${NAME}` anywhere. */
export function commandLine(command: string, instance: string, variables: Record<string, string>): string[] {
	return command
		.replaceAll('%i', instance)
		.split(' ')
		.map((word) => word.replace(/\$\{(\w+)\}|^\$(\w+)$/g, (_, braced, bare) => variables[braced ?? bare] ?? ''));
}

/** A number of seconds, as in `60s`. */
export function secondsOf(value: string): number {
	const [, seconds] = /^([0-9]+)s$/.exec(value) ?? [];
	if (seconds === undefined) throw new Error(`not in seconds: ${value}`);
	return Number(seconds);
}
