/** Lets a page be seen by those who may open it, and tells the others which role it takes. */
import type { Role } from "@airlift/protocol/api/credentials";
import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type AsyncRouteComponent, Link } from "@tanstack/react-router";
import { sessionQuery, useMay } from "../api/session.ts";
import { Empty } from "../parts/notices.tsx";
import { useTitle } from "../parts/title.ts";
import { PAGES, type PagePath } from "./places.ts";

export function guarded(path: PagePath, Page: AsyncRouteComponent<unknown>): AsyncRouteComponent<unknown> {
  const { least } = PAGES[path];
  const Guarded = () => (useMay(least) ? <Page /> : <Closed least={least} />);
  return Page.preload === undefined ? Guarded : Object.assign(Guarded, { preload: Page.preload });
}

function Closed({ least }: { readonly least: Role }) {
  useTitle("Closed");
  const { data: session } = useQuery(sessionQuery());
  return (
    <Empty title={`This page is for ${WHO[least]}`}>
      <Text c="dimmed">
        You are signed in as {session?.name}, with the role {session?.role}. Whoever hands out tokens can give you a
        greater one.
      </Text>
      <Link to="/">To the overview</Link>
    </Empty>
  );
}

const WHO: Readonly<Record<Role, string>> = {
  gateway: "gateways",
  viewer: "viewers and whoever may do more",
  operator: "operators and whoever may do more",
  approver: "approvers and administrators",
  admin: "administrators",
};
