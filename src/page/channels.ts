// The channels that were visited last, and the way to another.
import { byId, element } from './element.js';

const storageKey = 'pathcast.recent';
const recentMax = 8;

/** A path as people read it; as it is where it cannot be decoded. */
export function readablePath(path: string): string {
	try {
		return decodeURIComponent(path);
	} catch {
		return path;
	}
}

/**
 * The address of the page of a path as typed: from the top if it begins with a slash, else beside the present one. Only the
 * characters that a URL would take for something else, or drop, are encoded here; it does the rest.
 */
export function pageOf(path: string, present: URL): URL {
	const url = new URL(present);
	const top = path.startsWith('/') ? '' : present.pathname.replace(/[^/]*$/, '');
	url.pathname = top + path.replace(/[%\\\t]/g, encodeURIComponent);
	url.hash = '';
	return url;
}

/** Remembers the page as visited, and offers the others. */
export function offerRecent(page: URL, go: (page: URL) => void): void {
	const here = `${page.pathname}${page.search}`;
	const recent = [here, ...readRecent().filter((path) => path !== here)].slice(0, recentMax);
	try {
		localStorage.setItem(storageKey, JSON.stringify(recent));
	} catch {
		// Without storage there is nothing to offer next time.
	}
	const links = recent.slice(1).map((path) => {
		const link = element('a', '', readablePath(path));
		// After the origin it cannot lead to another, whatever it holds.
		link.href = location.origin + path;
		link.dir = 'auto';
		link.addEventListener('click', (event) => {
			// A new tab or window is the browser's business.
			if (event.ctrlKey || event.metaKey || event.shiftKey) return;
			event.preventDefault();
			go(new URL(link.href));
		});
		const item = element('li', '');
		item.append(link);
		return item;
	});
	byId('recent').replaceChildren(...links);
}

function readRecent(): string[] {
	try {
		const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? '[]');
		return Array.isArray(stored) ? stored.filter((path) => typeof path === 'string' && path.startsWith('/')) : [];
	} catch {
		return [];
	}
}
