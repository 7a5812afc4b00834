import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Owner } from './owner.js';

/** A new, empty folder, which the owner's end removes. */
export function temporaryFolder(t: Owner): string {
	const path = mkdtempSync(join(tmpdir(), 'pathcast-'));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}
