/** One update as an item of a list: which device, where it stands, and why. */
import type { Update } from "@airlift/protocol/api/schemas";
import { Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Ago } from "./instants.tsx";
import { UpdateState } from "./states.tsx";

export interface UpdateLineProps {
  readonly update: Update;
  /** What else there is to say of it. */
  readonly children?: ReactNode;
}

export const UpdateLine = ({ update, children }: UpdateLineProps) => (
  <li>
    <Link
      to="/devices/$endpoint"
      params={{ endpoint: update.endpoint }}
      search={{ part: "updates" }}
      className="anywhere"
    >
      {update.endpoint}
    </Link>{" "}
    <UpdateState state={update.state} />
    <Text size="sm">{update.sentence}</Text>
    {children}
    <Text size="xs" c="dimmed">
      <Ago at={update.updatedAt} />
    </Text>
  </li>
);
