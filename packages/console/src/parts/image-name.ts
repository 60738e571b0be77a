/** What people call an image. */
import { useQuery } from "@tanstack/react-query";
import { imageQuery } from "../api/queries.ts";

/** "Airlift virtual 2.0.0"; "image 0123456789abcdef" where that is not known. */
export function useImageName(id: string): string {
  const { data } = useQuery(imageQuery(id));
  return data ? `${data.manufacturer} ${data.model} ${data.version}` : `image ${id}`;
}
