#!/usr/bin/env node
// The command: loads main.ts, where that is possible. Node opens all of its files at once.
import { readOpenFilesMax } from './listening/open-files.js';

// With 55 it started, with 50 it did not.
const openFilesMin = 64;

const openFilesMax = readOpenFilesMax();
if (openFilesMax < openFilesMin) {
	process.stderr.write(
		`pathcast: ulimit -n is ${openFilesMax}, which is too low to start: raise it to ${openFilesMin} or more.\n`,
	);
	process.exitCode = 1;
} else {
	await import('./main.js');
}
