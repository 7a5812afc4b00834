import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A new, empty folder, which the test's end removes. */
export function temporaryFolder(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), 'pathcast-'));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}
