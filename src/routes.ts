// Which door answers which method.
import type { App } from './engine.js';
import { type StreamDoorParts, streamDoor } from './event-stream/streams.js';
import { type DoorParts, openDoor } from './http/exchange.js';
import { isHandshake } from './http/handshake.js';
import { optionsDoor, otherMethodDoor } from './http/methods.js';
import { type PageDocument, pageDoor } from './http/page.js';
import { type PublishParts, publishDoor } from './http/post.js';
import { prefersEventStream } from './http/quality.js';
import type { RequestHead } from './http/request-head.js';
import { afterRead } from './websocket/after-read.js';
import type { Opened } from './websocket/connection.js';
import { type FrameParts, webSocketBehavior } from './websocket/frames.js';
import { type UpgradeParts, upgradeDoor } from './websocket/upgrade.js';

export type RouteParts = DoorParts &
	Omit<UpgradeParts & FrameParts, 'opened' | 'answerLater'> &
	StreamDoorParts &
	PublishParts & {
		readonly page: PageDocument;
		readonly isTls: boolean;
		/** Whether messages are published by POST and PUT here, and not by the operator's listener alone. */
		readonly allowsPost: boolean;
	};

export function addRoutes(app: App, parts: RouteParts): void {
	const opened: Opened = [undefined];
	const webSocketParts = { ...parts, opened, answerLater: afterRead(parts.isTls) };
	const { page, checkOrigin, mayPublish, allowsPost, isAsking, maxMessage, maxPath } = parts;
	const settings = { maxMessage, mayPublish, allowsPost };
	const showPage = pageDoor(page, settings, maxPath);
	const openStream = streamDoor(parts);
	const get = openDoor((exchange) => (wantsStream(exchange.head) ? openStream : showPage)(exchange), parts);
	const post = openDoor(publishDoor(parts), parts);

	app.ws('/*', webSocketBehavior(openDoor(upgradeDoor(webSocketParts), parts), webSocketParts));
	app.get('/*', get);
	app.head('/*', get);
	if (allowsPost) {
		app.post('/*', post);
		app.put('/*', post);
	}
	app.options('/*', openDoor(optionsDoor(checkOrigin, allowsPost, isAsking), parts));
	app.any('/*', openDoor(otherMethodDoor(allowsPost), parts));
}

function wantsStream(head: RequestHead): boolean {
	return !isHandshake(head) && prefersEventStream(head.accept);
}
