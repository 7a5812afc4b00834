/** Ends what a helper starts: a test, or what many tests share. */
export type Owner = { after(end: () => unknown): void };
