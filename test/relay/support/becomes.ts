// Waits for what has no event of its own: the state of another process, which has to be asked for.

// Asking without a rest would keep a core from the processes that are asked.
const restMs = 10;

/** Resolves when `look` gives true. An error of it means not yet: a server may be away meanwhile. */
export async function becomes(look: () => boolean | Promise<boolean>): Promise<void> {
	for (;;) {
		try {
			if (await look()) return;
		} catch {}
		await new Promise((resolve) => setTimeout(resolve, restMs));
	}
}
