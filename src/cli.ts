#!/usr/bin/env node
// The command: loads main.ts, where that is possible. Node opens all of its files at once.
import { readOpenFilesMax } from './listening/open-files.js';

// On a busy machine Node has all of the command's 140 files open before it has read the first one, and some 25 descriptors of its own.
const openFilesMin = 256;

const openFilesMax = readOpenFilesMax();
if (openFilesMax < openFilesMin) {
	process.stderr.write(
		`pathcast: ulimit -n is ${openFilesMax}, which is too low to start: raise it to ${openFilesMin} or more.\n`,
	);
	process.exitCode = 1;
} else {
	await import('./main.js');
}
