// Reads a file that an option names.
import { readFileSync } from 'node:fs';
import { StartError } from './start-error.js';

/** Throws a StartError that names the flag if the file cannot be read. */
export function readGivenFile(flag: string, file: string): Buffer {
	try {
		return readFileSync(file);
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		throw new StartError(`${flag}: ${file} cannot be read (${code}); check the path and its permissions.`);
	}
}
